// Room: snapshotter. Owns begin-unpack: an unpack worker has taken the job of a batch's item in hand.
import type { OperationId } from "../domain/identifiers.ts";
import { itemOfOperation, startItem } from "../metadata/batch-items.ts";
import type { Context } from "./context.ts";
import type { MetadataOperation } from "./operations.ts";

export interface BeginUnpackRequest {
  readonly unpackOperationId: OperationId;
}

export interface BegunUnpack {
  /** False: the item has ended, or was begun anew under another operation; this job is no longer wanted. */
  readonly isWanted: boolean;
}

/** The item runs from now on; asked again after a worker's death, it stays so. */
export function beginUnpack(
  { database }: Context,
  operationId: OperationId,
  request: BeginUnpackRequest,
): MetadataOperation<BegunUnpack> {
  return {
    kind: "metadata",
    request: { operationId, job: "begin-unpack", payload: request },
    apply() {
      const item = itemOfOperation(database, request.unpackOperationId);
      if (item === undefined || item.endedAtMs !== undefined) return { isWanted: false };
      if (item.state === "pending") startItem(database, item);
      return { isWanted: true };
    },
  };
}
