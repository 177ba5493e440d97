// Room: snapshotter. Owns retry-batch: items that failed or were cancelled are started again.
import { batchState } from "../domain/batches.ts";
import { failedPrecondition } from "../domain/errors.ts";
import type { RequestOf, Result } from "../jobs/contract.ts";
import { resetItems } from "../metadata/batch-items.ts";
import { countItems, findBatch, unmarkCancelled } from "../metadata/batches.ts";
import { queueNextItems } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** Throws not_found, and failed_precondition while items of a cancelled batch still run. */
export const retryBatch = (
  context: Context,
  request: RequestOf<"retry-batch">,
): MetadataSteps<Result<"retry-batch">> => ({
  kind: "metadata",
  apply() {
    const { database } = context;
    const { batch, cancelledAtMs } = findBatch(database, request.batch);
    if (batchState(countItems(database, batch), cancelledAtMs !== undefined) === "cancelling") {
      throw failedPrecondition(
        `batch ${batch} is being cancelled: wait until it has ended ('snapmill batch show --watch ${batch}')`,
      );
    }
    const retried = resetItems(database, batch, request.failedOnly ? ["failed"] : ["failed", "cancelled"]);
    if (retried > 0) {
      unmarkCancelled(database, batch);
      queueNextItems(context, findBatch(database, batch));
    }
    return { retried };
  },
});
