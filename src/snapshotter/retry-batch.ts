// Room: snapshotter. Owns retry-batch: items that failed or were cancelled are begun anew.
import { batchState } from "../domain/batches.ts";
import { failedPrecondition } from "../domain/errors.ts";
import type { BatchId, OperationId } from "../domain/identifiers.ts";
import { resetItems } from "../metadata/batch-items.ts";
import { countItems, findBatch, unmarkCancelled } from "../metadata/batches.ts";
import { queueNextItems } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataOperation } from "./operations.ts";

export interface RetryBatchRequest {
  readonly batch: BatchId;
  /** Items that were cancelled stay so. */
  readonly failedOnly: boolean;
}

/** Throws not_found, and failed_precondition while items of a cancelled batch still run. */
export function retryBatch(
  context: Context,
  operationId: OperationId,
  request: RetryBatchRequest,
): MetadataOperation<{ readonly retried: number }> {
  return {
    kind: "metadata",
    request: { operationId, job: "retry-batch", payload: request },
    apply() {
      const { database } = context;
      const { batch, cancelledAtMs } = findBatch(database, request.batch);
      if (batchState(countItems(database, batch), cancelledAtMs !== undefined) === "cancelling") {
        throw failedPrecondition(`batch ${batch} is being cancelled: wait until none of its items runs`);
      }
      const retried = resetItems(database, batch, request.failedOnly ? ["failed"] : ["failed", "cancelled"]);
      if (retried > 0) {
        unmarkCancelled(database, batch);
        queueNextItems(context, findBatch(database, batch));
      }
      return { retried };
    },
  };
}
