// Room: jobs. Owns the declarations of the jobs on batches and their items: a part of contract.ts.
import { z } from "zod";
import { operationId } from "../domain/identifiers.ts";
import { batch, batchItem, batchReason, batchSummary, itemFailure, itemsPage, submission } from "./batch-schemas.ts";
import { branded, envelope, nothing } from "./schemas.ts";

export const batchJobs = {
  /** Writes a batch down in this pool, and queues its first items. Repeated with the same batch, it changes nothing. */
  "submit-batch": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, ...submission }),
    result: z.object({ items: z.number(), isNew: z.boolean() }),
  },
  /** Ends what of a batch has not ended. Answers how many items ended at once, and how many unpacks were told to end. */
  "cancel-batch": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, batch, reason: batchReason }),
    result: z.object({ cancelled: z.number(), running: z.number() }),
  },
  /** Begins items anew that have failed, or were cancelled. */
  "retry-batch": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, batch, failedOnly: z.boolean() }),
    result: z.object({ retried: z.number() }),
  },
  /** Forgets a batch that has ended; its images stay. */
  "remove-batch": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, batch }),
    result: nothing,
  },
  /** A batch of this pool and some of its items, for callers on other hosts: on this one it is read from SQLite. */
  "read-batch": {
    worker: "pool",
    journal: "none",
    payload: z.object({ ...envelope, ...itemsPage }),
    result: z.object({ batch: batchSummary, items: z.array(batchItem).readonly() }),
  },
  /** An unpack worker begins with a batch's item. `isWanted`: whether the item has not ended. */
  "begin-unpack": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, unpackOperationId: branded(operationId) }),
    result: z.object({ isWanted: z.boolean() }),
  },
  /** An attempt at a batch's item has failed in a way that another may not. `isLast`: the item has ended with it. */
  "note-attempt": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, unpackOperationId: branded(operationId), failure: itemFailure }),
    result: z.object({ isLast: z.boolean() }),
  },
} as const;
