// Room: snapshotter. Owns cancel-batch: what has not ended of a batch is wanted no more.
import type { BatchId, OperationId } from "../domain/identifiers.ts";
import { findBatch } from "../metadata/batches.ts";
import { type Cancelled, cancelOpenItems } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataOperation } from "./operations.ts";

export interface CancelBatchRequest {
  readonly batch: BatchId;
  readonly reason: string;
}

/** Throws not_found. A batch that has ended stays as it is. */
export function cancelBatch(
  context: Context,
  operationId: OperationId,
  request: CancelBatchRequest,
): MetadataOperation<Cancelled> {
  return {
    kind: "metadata",
    request: { operationId, job: "cancel-batch", payload: request },
    apply() {
      const { batch } = findBatch(context.database, request.batch);
      return cancelOpenItems(context, batch, request.reason);
    },
  };
}
