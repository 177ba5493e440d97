// Room: service. Owns the operations on a pool's batches: reads from the database, and changes by the pool's worker.
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { batchLimits, isBatchOver } from "../domain/batches.ts";
import type { BatchId } from "../domain/identifiers.ts";
import { batchItem, batchSummary } from "../jobs/batch-schemas.ts";
import { jobs, type RequestOf, type Result } from "../jobs/contract.ts";
import { itemsPage } from "../metadata/batch-items.ts";
import { type BatchSummary, findBatch, listBatches, summaryOf } from "../metadata/batches.ts";
import { type Database, readConsistently } from "../metadata/database.ts";
import { operation, workerOperation } from "./operation.ts";
import type { CallOptions, Changes, Service } from "./service.ts";

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
export const cancelBatch = workerOperation("cancel-batch");
/** Retries items that have failed or were cancelled. */
export const retryBatch = workerOperation("retry-batch");
/** Deletes the record of a batch that has ended. Its images stay. */
export const removeBatch = workerOperation("remove-batch");
/** Returns what `batch` and `batchItems` return, for a pool on another host. */
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

/**
 * A page of a batch's items, in the order of submission. A page with fewer than `limit` (default 500) items is the
 * last. Throws not_found.
 */
export const batchItems = operation({ input: page, output: z.array(batchItem) }, ({ database }, given): ReadItem[] =>
  readConsistently(database(), () => pageOf(database(), given)),
);

/** Used by the pool's worker to answer callers on other hosts. */
export const answerReadBatch = (database: Database, given: RequestOf<"read-batch">) =>
  readConsistently(database, () => ({
    batch: summaryOf(database, findBatch(database, given.batch)),
    items: pageOf(database, given),
  }));

/** A pool on this host, or one that can only be read through its worker. */
type BatchPlace = Pick<Service, "database"> | Changes;

/** A batch and a page of its items: from the pool's database if it is on this host, otherwise from the worker. */
export const batchPage = async (
  place: BatchPlace,
  given: RequestOf<"read-batch">,
  options?: CallOptions,
): Promise<Result<"read-batch">> =>
  "database" in place ? answerReadBatch(place.database(), given) : await readBatch(place, given, options);

/** All items of a batch in one of `states` (default: any), in the order of submission. Throws not_found. */
export async function* allItems(
  place: BatchPlace,
  { batch: name, states }: Pick<RequestOf<"read-batch">, "batch" | "states">,
): AsyncGenerator<ReadItem> {
  const limit = batchLimits.pageItems;
  for (let after: number | undefined; ; ) {
    const { items } = await batchPage(place, { batch: name, states, after, limit });
    yield* items;
    if (items.length < limit) return;
    after = items.at(-1)?.position;
  }
}

/** How often to poll a batch: in the database, and through the worker. */
const lookEveryMs = { database: 250, job: 2_000 } as const;

/** Waits for the end of the batch and returns its result. Throws not_found, and the reason of `signal`. */
export async function untilBatchEnds(
  place: BatchPlace,
  name: BatchId,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (summary: BatchSummary) => void },
): Promise<BatchSummary> {
  for (;;) {
    signal.throwIfAborted();
    const { batch: summary } = await batchPage(place, { batch: name, limit: 1 }, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw error;
    });
    onProgress(summary);
    if (isBatchOver(summary.state)) return summary;
    await delay("database" in place ? lookEveryMs.database : lookEveryMs.job, undefined, { signal }).catch(
      () => undefined,
    );
  }
}

function pageOf(database: Database, { batch: name, states, after, limit }: RequestOf<"read-batch">): ReadItem[] {
  findBatch(database, name);
  return itemsPage(database, name, { states, after, limit: limit ?? batchLimits.pageItems }).map(
    ({ batch: _batch, ...item }) => item,
  );
}
