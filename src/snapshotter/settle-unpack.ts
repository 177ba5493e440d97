// Room: snapshotter. Owns settle-unpack: an accepted unpack has ended, with an image, for good without one, or cancelled.
import type { ErrorCode } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import type { UnpackStage } from "../domain/unpack-stage.ts";
import { itemOfOperation } from "../metadata/batch-items.ts";
import { type ImageRecord, recordImage } from "../metadata/images.ts";
import { cancelInOutbox, dropFromOutbox, dropUnlessCancelled, isCancelled } from "../metadata/outbox.ts";
import { endItemOf, type ItemEnd } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataOperation } from "./operations.ts";

export interface SettleUnpackRequest {
  readonly unpackOperationId: OperationId;
  readonly outcome: UnpackOutcome;
}

export type UnpackOutcome =
  | { readonly kind: "unpacked"; readonly image: ImageRecord }
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly code?: ErrorCode | undefined;
      readonly stage?: UnpackStage | undefined;
    }
  | { readonly kind: "cancelled" };

/** What it was for is settled in the same transaction: the image's record, and the item of a batch. */
export function settleUnpack(
  context: Context,
  operationId: OperationId,
  request: SettleUnpackRequest,
): MetadataOperation<object> {
  return {
    kind: "metadata",
    request: { operationId, job: "settle-unpack", payload: request },
    apply() {
      settle(context, request);
      return {};
    },
  };
}

function settle(context: Context, { unpackOperationId, outcome }: SettleUnpackRequest): void {
  const { database } = context;
  switch (outcome.kind) {
    case "unpacked":
      recordImage(database, outcome.image);
      dropFromOutbox(database, unpackOperationId);
      endItemOf(context, unpackOperationId, outcome);
      break;
    case "failed":
      endItemOf(context, unpackOperationId, endOf(context, unpackOperationId, outcome));
      dropUnlessCancelled(database, unpackOperationId);
      break;
    case "cancelled":
      cancelInOutbox(database, unpackOperationId);
      // One that runs ends with its worker's answer.
      if (itemOfOperation(database, unpackOperationId)?.state === "pending") {
        endItemOf(context, unpackOperationId, outcome);
      }
      break;
  }
}

/** Whatever an unpack ended with after its cancellation. */
function endOf(
  { database }: Context,
  unpackOperationId: OperationId,
  { reason, code = "internal", stage = "queue" }: Extract<UnpackOutcome, { kind: "failed" }>,
): ItemEnd {
  if (isCancelled(database, unpackOperationId)) return { kind: "cancelled" };
  return { kind: "failed", failure: { code, message: reason, stage } };
}
