// Room: service. Owns the operations on batches of one pool: what is read of them here, and what the pool's worker does.
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
import type { Changes, Service } from "./service.ts";

export type { BatchSummary };
/** An item as every host sees it. */
export type ReadItem = Result<"read-batch">["items"][number];

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
export const batchItems = operation({ input: page, output: z.array(batchItem) }, ({ database }, given): ReadItem[] =>
  readConsistently(database(), () => pageOf(database(), given)),
);

/** For the pool's worker, which answers callers on other hosts. */
export const answerReadBatch = (database: Database, given: RequestOf<"read-batch">) =>
  readConsistently(database, () => ({
    batch: summaryOf(database, findBatch(database, given.batch)),
    items: pageOf(database, given),
  }));

/** A pool on this host, or one whose worker answers for it. */
type BatchPlace = Pick<Service, "database"> | Changes;

/** A batch and a page of its items: from the pool's database where it is at hand, else from its worker. */
export const batchPage = async (place: BatchPlace, given: RequestOf<"read-batch">): Promise<Result<"read-batch">> =>
  "database" in place ? answerReadBatch(place.database(), given) : await readBatch(place, given);

/** All items of a batch that are in one of `states` (default: in any), in the order given. Throws not_found. */
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

/** How often the state of a batch is looked at: in its database, and by a job of its worker. */
const lookEveryMs = { database: 250, job: 2_000 } as const;

/** Resolves once the batch has ended, with what it has come to. Throws not_found, and the reason of `signal`. */
export async function untilBatchEnds(
  place: BatchPlace,
  name: BatchId,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (summary: BatchSummary) => void },
): Promise<BatchSummary> {
  for (;;) {
    signal.throwIfAborted();
    const { batch: summary } = await batchPage(place, { batch: name, limit: 1 });
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
