// Room: snapshotter. Owns begin-unpack: an unpack worker has begun with the job of a batch's item.
import type { RequestOf, Result } from "../jobs/contract.ts";
import { itemOfOperation, startItem } from "../metadata/batch-items.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** The item is running from now on, also if the call is repeated after a worker's death. */
export const beginUnpack = (
  { database }: Context,
  request: RequestOf<"begin-unpack">,
): MetadataSteps<Result<"begin-unpack">> => ({
  kind: "metadata",
  apply() {
    const item = itemOfOperation(database, request.unpackOperationId);
    if (item === undefined || item.endedAtMs !== undefined) return { isWanted: false };
    if (item.state === "pending") startItem(database, item);
    return { isWanted: true };
  },
});
