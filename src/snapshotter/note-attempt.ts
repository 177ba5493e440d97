// Room: snapshotter. Owns note-attempt: an attempt at a batch's item has failed for a transient reason.
import type { RequestOf, Result } from "../jobs/contract.ts";
import { itemOfOperation, noteFailedAttempt } from "../metadata/batch-items.ts";
import { findBatch } from "../metadata/batches.ts";
import { dropFromOutbox, isCancelled } from "../metadata/outbox.ts";
import { endItemOf } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** Attempts are counted here too, not in the queue alone, so that the count survives the loss of Redis. */
export const noteAttempt = (
  context: Context,
  request: RequestOf<"note-attempt">,
): MetadataSteps<Result<"note-attempt">> => ({
  kind: "metadata",
  apply: () => ({ isLast: !mayTryAgain(context, request) }),
});

function mayTryAgain(context: Context, { unpackOperationId, failure }: RequestOf<"note-attempt">): boolean {
  const { database } = context;
  const item = itemOfOperation(database, unpackOperationId);
  if (item === undefined || item.endedAtMs !== undefined) return false;
  if (isCancelled(database, unpackOperationId)) {
    endItemOf(context, unpackOperationId, { kind: "cancelled" });
    return false;
  }
  if (item.attempts + 1 < findBatch(database, item.batch).attempts) {
    noteFailedAttempt(database, item, failure);
    return true;
  }
  dropFromOutbox(database, unpackOperationId);
  endItemOf(context, unpackOperationId, { kind: "failed", failure });
  return false;
}
