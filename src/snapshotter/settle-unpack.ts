// Room: snapshotter. Owns settle-unpack: an accepted unpack has ended with an image, failed for good, or was cancelled.
import { notFound } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import type { RequestOf } from "../jobs/contract.ts";
import { itemOfOperation } from "../metadata/batch-items.ts";
import { isCommitted, recordImage } from "../metadata/images.ts";
import { cancelInOutbox, dropFromOutbox, dropUnlessCancelled, isCancelled } from "../metadata/outbox.ts";
import { type EndedUnpack, recordUnpack } from "../metadata/unpacks.ts";
import { endItemOf, type ItemEnd } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

type SettleUnpackRequest = RequestOf<"settle-unpack">;
type Failed = Extract<SettleUnpackRequest["outcome"], { readonly kind: "failed" }>;

/**
 * What the unpack was for is settled in the same transaction: the image's record, and the item of a batch. Throws not_found
 * when the image's snapshot was removed meanwhile: then the image is to be unpacked again.
 */
export const settleUnpack = (context: Context, request: SettleUnpackRequest): MetadataSteps<object> => ({
  kind: "metadata",
  apply() {
    settle(context, request);
    return {};
  },
});

function settle(context: Context, request: SettleUnpackRequest): void {
  const { unpackOperationId, outcome } = request;
  const { database } = context;
  switch (outcome.kind) {
    case "unpacked":
      if (!isCommitted(database, outcome.image.chainId)) {
        throw notFound(`snapshot ${outcome.image.chainId} of image ${outcome.image.image} is not there any more`);
      }
      recordImage(database, outcome.image);
      recordAccount(context, request, { outcome: "unpacked", errorCode: null, errorMessage: null });
      dropFromOutbox(database, unpackOperationId);
      endItemOf(context, unpackOperationId, outcome);
      break;
    case "failed":
      recordAccount(context, request, {
        outcome: isCancelled(database, unpackOperationId) ? "cancelled" : "failed",
        errorCode: outcome.code ?? "internal",
        errorMessage: outcome.reason,
      });
      endItemOf(context, unpackOperationId, endOf(context, unpackOperationId, outcome));
      dropUnlessCancelled(database, unpackOperationId);
      break;
    case "cancelled":
      cancelInOutbox(database, unpackOperationId);
      // An item that is running ends with the answer of its worker.
      if (itemOfOperation(database, unpackOperationId)?.state === "pending") {
        endItemOf(context, unpackOperationId, outcome);
      }
      break;
  }
}

/** Of one that found everything in the pool there is nothing to tell. */
function recordAccount(
  { database }: Context,
  { unpackOperationId: operationId, account }: SettleUnpackRequest,
  end: Pick<EndedUnpack, "outcome" | "errorCode" | "errorMessage">,
): void {
  if (account === undefined) return;
  if (end.outcome === "unpacked" && account.layers.every(({ state }) => state === "cached")) return;
  recordUnpack(database, { operationId, ...account, ...end });
}

/** An unpack that fails after its cancellation was cancelled, however it failed. */
function endOf(
  { database }: Context,
  unpackOperationId: OperationId,
  { reason, code = "internal", stage = "queue" }: Failed,
): ItemEnd {
  if (isCancelled(database, unpackOperationId)) return { kind: "cancelled" };
  return { kind: "failed", failure: { code, message: reason, stage } };
}
