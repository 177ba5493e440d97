// Room: service. Owns the operations on a pool's batches: reads from the database, and changes by the pool's worker.
import { z } from "zod";
import { batchLimits } from "../domain/batches.ts";
import { batchItem, batchSummary } from "../jobs/batch-schemas.ts";
import { jobs, type RequestOf, type Result } from "../jobs/contract.ts";
import { itemsPage } from "../metadata/batch-items.ts";
import { type BatchSummary, findBatch, listBatches, summaryOf } from "../metadata/batches.ts";
import { type Database, readConsistently } from "../metadata/database.ts";
import { listOperation, operation, workerOperation } from "./operation.ts";
import type { Service } from "./service.ts";

export type { BatchSummary };
/** An item as any host reads it. */
export type ReadItem = Result<"read-batch">["items"][number];

const page = jobs["read-batch"].payload.omit({ pool: true, operationId: true });
const named = page.pick({ batch: true });

/**
 * Stores a batch in the pool; returns when it is on disk. Idempotent: submitting the same batch again has no effect.
 */
export const submitBatch = workerOperation("submit-batch");
/** Cancels the items of a batch that have not ended; running items end shortly after the answer. */
export const cancelBatch = workerOperation("cancel-batch", { reason: "cancelled by a caller" });
/** Retries items that have failed or were cancelled. */
export const retryBatch = workerOperation("retry-batch", { failedOnly: false });
/** Deletes the record of a batch that has ended. Its images stay. */
export const removeBatch = workerOperation("remove-batch");
/** Returns what `batch` and a page of `batchItems` return, for a pool on another host. */
export const readBatch = workerOperation("read-batch");

/** The pool's batches, latest first. */
export const batches = operation(
  { input: z.object({}), output: z.array(batchSummary) },
  ({ database }): BatchSummary[] =>
    readConsistently(database(), () =>
      listBatches(database(), batchLimits.batches).map((record) => summaryOf(database(), record)),
    ),
);

/** One batch and its progress. Throws not_found. */
export const batch = operation(
  { input: named, output: batchSummary },
  ({ database }, given): BatchSummary =>
    readConsistently(database(), () => summaryOf(database(), findBatch(database(), given.batch))),
);

/** A batch's items behind the position `after`, in the order of submission. Throws not_found. */
export const batchItems = listOperation(
  { input: page.omit({ limit: true }), output: batchItem, placeOf: ({ position }) => position },
  ({ database }, given): Iterable<readonly ReadItem[]> => itemPages(database, given),
);

function* itemPages(database: Service["database"], given: RequestOf<"read-batch">): Generator<ReadItem[]> {
  const limit = batchLimits.pageItems;
  for (let after = given.after; ; ) {
    const items = readConsistently(database(), () => pageOf(database(), { ...given, after, limit }));
    yield items;
    if (items.length < limit) return;
    after = items.at(-1)?.position;
  }
}

/** Used by the pool's worker to answer callers on other hosts. */
export const answerReadBatch = (database: Database, given: RequestOf<"read-batch">) =>
  readConsistently(database, () => ({
    batch: summaryOf(database, findBatch(database, given.batch)),
    items: pageOf(database, given),
  }));

function pageOf(database: Database, { batch: name, states, after, limit }: RequestOf<"read-batch">): ReadItem[] {
  findBatch(database, name);
  return itemsPage(database, name, { states, after, limit: limit ?? batchLimits.pageItems }).map(
    ({ batch: _batch, ...item }) => item,
  );
}
