// Room: snapshotter. Owns settle-unpack: an accepted unpack has ended, with an image, for good without one, or cancelled.
import type { OperationId } from "../domain/identifiers.ts";
import type { Database } from "../metadata/database.ts";
import { type ImageRecord, recordImage } from "../metadata/images.ts";
import { cancelInOutbox, dropFromOutbox, dropUnlessCancelled } from "../metadata/outbox.ts";
import type { Context } from "./context.ts";
import type { MetadataOperation } from "./operations.ts";

export interface SettleUnpackRequest {
  readonly unpackOperationId: OperationId;
  readonly outcome: UnpackOutcome;
}

export type UnpackOutcome =
  | { readonly kind: "unpacked"; readonly image: ImageRecord }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "cancelled" };

export function settleUnpack(
  { database }: Context,
  operationId: OperationId,
  request: SettleUnpackRequest,
): MetadataOperation<object> {
  return {
    kind: "metadata",
    request: { operationId, job: "settle-unpack", payload: request },
    apply() {
      settle(database, request);
      return {};
    },
  };
}

function settle(database: Database, { unpackOperationId, outcome }: SettleUnpackRequest): void {
  switch (outcome.kind) {
    case "unpacked":
      recordImage(database, outcome.image);
      dropFromOutbox(database, unpackOperationId);
      break;
    case "failed":
      dropUnlessCancelled(database, unpackOperationId);
      break;
    case "cancelled":
      cancelInOutbox(database, unpackOperationId);
      break;
  }
}
