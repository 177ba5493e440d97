// Room: snapshotter. Owns cancel-batch: the items of a batch that have not ended are cancelled.
import type { RequestOf, Result } from "../jobs/contract.ts";
import { findBatch } from "../metadata/batches.ts";
import { cancelOpenItems } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** Throws not_found. A batch that has ended stays as it is. */
export const cancelBatch = (
  context: Context,
  request: RequestOf<"cancel-batch">,
): MetadataSteps<Result<"cancel-batch">> => ({
  kind: "metadata",
  apply() {
    const { batch } = findBatch(context.database, request.batch);
    return cancelOpenItems(context, batch, request.reason);
  },
});
