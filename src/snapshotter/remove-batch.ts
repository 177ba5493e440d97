// Room: snapshotter. Owns remove-batch: the records of an ended batch are removed; its images stay.
import { batchState, isBatchOver } from "../domain/batches.ts";
import { failedPrecondition } from "../domain/errors.ts";
import type { RequestOf, Result } from "../jobs/contract.ts";
import { countItems, deleteBatch, findBatch } from "../metadata/batches.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** Throws not_found, and failed_precondition for a batch that has not ended. */
export const removeBatch = (
  { database }: Context,
  request: RequestOf<"remove-batch">,
): MetadataSteps<Result<"remove-batch">> => ({
  kind: "metadata",
  apply() {
    const { batch, cancelledAtMs } = findBatch(database, request.batch);
    const state = batchState(countItems(database, batch), cancelledAtMs !== undefined);
    if (!isBatchOver(state)) {
      const first = state === "cancelling" ? "" : `cancel it first ('snapmill batch cancel ${batch}'), or `;
      throw failedPrecondition(
        `batch ${batch} is ${state}: ${first}wait until it has ended ('snapmill batch show --watch ${batch}')`,
      );
    }
    deleteBatch(database, batch);
    return {};
  },
});
