// Room: snapshotter. Owns submit-batch: a batch and all its items are written down, and its first items queued.
import { batchLimits, defaultAttempts, defaultPriority, requireDistinct } from "../domain/batches.ts";
import { alreadyExists, failedPrecondition } from "../domain/errors.ts";
import { orHostPlatform } from "../images/platform.ts";
import type { RequestOf, Result } from "../jobs/contract.ts";
import { insertItems, type WantedImage, wantedImages } from "../metadata/batch-items.ts";
import { type BatchRecord, countBatches, findBatch, insertBatch, lookUpBatch } from "../metadata/batches.ts";
import type { Database } from "../metadata/database.ts";
import { queueNextItems } from "./batch-progress.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** The same batch may be submitted again, and stays as it is; another one of its ID is already_exists. */
export const submitBatch = (
  context: Context,
  request: RequestOf<"submit-batch">,
): MetadataSteps<Result<"submit-batch">> => ({
  kind: "metadata",
  apply() {
    const { database } = context;
    const items = wantedBy(request);
    const known = lookUpBatch(database, request.batch);
    if (known !== undefined) {
      requireSame(database, known, request, items);
      return { items: items.length, isNew: false };
    }
    requireRoom(database);
    requireDistinct(items);
    const { batch, name, failAfterPercent, timeLimitMs } = request;
    const { priority = defaultPriority, attempts = defaultAttempts } = request;
    const { parallel = context.defaultParallel } = request;
    insertBatch(database, { batch, name, priority, parallel, attempts, failAfterPercent, timeLimitMs });
    insertItems(database, batch, items);
    queueNextItems(context, findBatch(database, batch));
    return { items: items.length, isNew: true };
  },
});

const wantedBy = ({ items, platform, registry }: RequestOf<"submit-batch">): WantedImage[] =>
  items.map((item) => ({
    reference: item.reference,
    platform: orHostPlatform(item.platform ?? platform),
    registry: item.registry ?? registry,
  }));

function requireRoom(database: Database): void {
  if (countBatches(database) < batchLimits.batches) return;
  throw failedPrecondition(
    `the pool remembers ${batchLimits.batches} batches, and no more: remove some that have ended ('snapmill batch rm')`,
  );
}

const settings = ["name", "priority", "parallel", "attempts", "failAfterPercent", "timeLimitMs"] as const;

function requireSame(
  database: Database,
  known: BatchRecord,
  request: RequestOf<"submit-batch">,
  items: readonly WantedImage[],
): void {
  const differs = settings.some((setting) => request[setting] !== undefined && request[setting] !== known[setting]);
  if (!differs && Bun.deepEquals(wantedImages(database, known.batch), items)) return;
  throw alreadyExists(`the pool has another batch ${known.batch}, with other items or settings: choose another ID`);
}
