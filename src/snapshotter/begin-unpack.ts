// Room: snapshotter. Owns begin-unpack: an unpack worker has taken the job of a batch's item in hand.
import type { RequestOf, Result } from "../jobs/contract.ts";
import { itemOfOperation, startItem } from "../metadata/batch-items.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** The item runs from now on; asked again after a worker's death, it stays so. */
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
