// Room: snapshotter. Owns note-attempt: an attempt at a batch's item has failed in a way that another may not.
import type { OperationId } from "../domain/identifiers.ts";
import { type ItemFailure, itemOfOperation, noteFailedAttempt } from "../metadata/batch-items.ts";
import { findBatch } from "../metadata/batches.ts";
import { dropFromOutbox, isCancelled } from "../metadata/outbox.ts";
import { endItemOf } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataOperation } from "./operations.ts";

export interface NoteAttemptRequest {
  readonly unpackOperationId: OperationId;
  readonly failure: ItemFailure;
}

export interface NotedAttempt {
  /** Whether it was the last: the item has ended. */
  readonly isLast: boolean;
}

/** Attempts are counted here and not in the queue alone: a Redis that was emptied does not begin to count anew. */
export function noteAttempt(
  context: Context,
  operationId: OperationId,
  request: NoteAttemptRequest,
): MetadataOperation<NotedAttempt> {
  return {
    kind: "metadata",
    request: { operationId, job: "note-attempt", payload: request },
    apply: () => ({ isLast: !mayTryAgain(context, request) }),
  };
}

function mayTryAgain(context: Context, { unpackOperationId, failure }: NoteAttemptRequest): boolean {
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
