// Room: service. Owns the operations on batches of one pool: what is read of them here, and what the pool's worker does.
import { z } from "zod";
import { batchLimits } from "../domain/batches.ts";
import { batchItem, batchSummary } from "../jobs/batch-schemas.ts";
import { jobs, type RequestOf } from "../jobs/contract.ts";
import { type BatchItem, itemsPage } from "../metadata/batch-items.ts";
import { type BatchSummary, findBatch, listBatches, summaryOf } from "../metadata/batches.ts";
import { type Database, readConsistently } from "../metadata/database.ts";
import { operation, workerOperation } from "./operation.ts";

export type { BatchItem, BatchSummary };

const page = jobs["read-batch"].payload.omit({ pool: true, operationId: true });
const named = page.pick({ batch: true });

/** Writes a batch down in the pool; returns when it is on disk. The same batch again changes nothing. */
export const submitBatch = workerOperation("submit-batch");
/** Ends what has not ended of a batch; items that run end shortly after the answer. */
export const cancelBatch = workerOperation("cancel-batch");
/** Begins items anew that have failed, or were cancelled. */
export const retryBatch = workerOperation("retry-batch");
/** Forgets a batch that has ended. Its images stay. */
export const removeBatch = workerOperation("remove-batch");
/** What `batch` and `batchItems` answer, for a pool on another host. */
export const readBatch = workerOperation("read-batch");

/** The pool's batches, the latest first. */
export const batches = operation(
  { input: z.object({}), output: z.array(batchSummary) },
  ({ database }): BatchSummary[] =>
    readConsistently(database(), () =>
      listBatches(database(), batchLimits.batches).map((record) => summaryOf(database(), record)),
    ),
);

/** One batch, and what it has come to. Throws not_found. */
export const batch = operation(
  { input: named, output: batchSummary },
  ({ database }, given): BatchSummary =>
    readConsistently(database(), () => summaryOf(database(), findBatch(database(), given.batch))),
);

/** A page of a batch's items, in the order given: shorter than `limit` (default 500), it is the last. Throws not_found. */
export const batchItems = operation({ input: page, output: z.array(batchItem) }, ({ database }, given): BatchItem[] =>
  readConsistently(database(), () => pageOf(database(), given)),
);

/** For the pool's worker, which answers callers on other hosts. */
export const answerReadBatch = (database: Database, given: RequestOf<"read-batch">) =>
  readConsistently(database, () => ({
    batch: summaryOf(database, findBatch(database, given.batch)),
    items: pageOf(database, given),
  }));

function pageOf(database: Database, { batch: name, states, after, limit }: RequestOf<"read-batch">): BatchItem[] {
  findBatch(database, name);
  return itemsPage(database, name, { states, after, limit: limit ?? batchLimits.pageItems });
}
