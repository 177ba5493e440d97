// Room: service. Owns pruning: removes images that were not requested lately, by rules or until enough space is free.
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { paths } from "../config.ts";
import { unavailable } from "../domain/errors.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import { poolUsageOf, recordedDriver } from "../drivers/open.ts";
import { jobs } from "../jobs/contract.ts";
import { type Image, idOf, listImages } from "../metadata/images.ts";
import { readLayerUses, type UsedLayer, unusedLayers } from "../metadata/layer-uses.ts";
import { pendingRemovals } from "../metadata/pending-removals.ts";
import { readPool } from "../metadata/pool.ts";
import { operation } from "./operation.ts";
import { firstCount, nextCount, type PruneRules, pruneCandidates } from "./prune-plan.ts";
import { type RemovedImages, removeInParts, together } from "./remove-images.ts";
import type { CallOptions, PoolService } from "./service.ts";

const input = z.object({
  olderThanMs: z.number().nonnegative().optional(),
  keep: z.number().int().nonnegative().optional(),
  untilFreeShare: z.number().gt(0).lt(1).optional(),
  /** Only report what would be removed. */
  isDryRun: z.boolean().optional(),
});

const removed = jobs["remove-images"].result;
const output = removed.omit({ images: true, names: true, isMore: true }).extend({
  /** What was (or would be) removed, in order; `references` are the names that each image had. */
  images: z.array(
    removed.shape.images.unwrap().element.extend({ references: z.array(z.string()), lastAskedAtMs: z.number() }),
  ),
  /** How full the pool is afterwards; null without `untilFreeShare`. */
  space: z.object({ usedBytes: z.number(), totalBytes: z.number() }).nullable(),
});

export type Pruned = z.input<typeof output>;

/**
 * Removes images by the rules, and every layer that nothing uses. With `untilFreeShare`, checks the pool's free space
 * after every few images, once their devices are gone, and stops when it is enough. Too little space at the end is not
 * an error.
 */
export const pruneImages = operation(
  { input, output, recovery: "repeated" },
  async (service: PoolService, { isDryRun = false, ...rules }, options: Options = {}): Promise<Pruned> => {
    const nowMs = Date.now();
    const candidates = pruneCandidates(listImages(service.database()), rules, nowMs);
    if (isDryRun) return await foresee(service, candidates, rules);
    const removal = rules.untilFreeShare === undefined ? removeAll : removeUntilFree;
    const parts = await removal(service, { candidates, nowMs, share: rules.untilFreeShare ?? 0 }, options);
    const { layers, images, kept } = together(parts);
    const gone = new Set(images.map(idOf));
    return {
      layers,
      kept,
      images: candidates.filter((image) => gone.has(idOf(image))).map(described),
      space: rules.untilFreeShare === undefined ? null : await spaceOf(service),
    };
  },
);

type Options = Pick<CallOptions, "signal">;

interface Plan {
  readonly candidates: readonly Image[];
  /** When the plan was made: images that were requested since are kept. */
  readonly nowMs: number;
  readonly share: number;
}

const described = ({ manifestDigest, platform, names, lastAskedAtMs }: Image): Pruned["images"][number] => ({
  manifestDigest,
  platform,
  references: names.map(({ reference }) => reference),
  lastAskedAtMs,
});

async function removeAll(service: PoolService, plan: Plan, options: Options): Promise<RemovedImages[]> {
  return [await removeInParts(service, removalOf(plan, plan.candidates), options)];
}

const removalOf = ({ nowMs }: Plan, images: readonly Image[]) => ({ names: [], images, notAskedSinceMs: nowMs });

async function removeUntilFree(service: PoolService, plan: Plan, options: Options): Promise<RemovedImages[]> {
  // First the layers that nothing uses any more.
  const parts = [await removeInParts(service, removalOf(plan, []), options)];
  let left = plan.candidates;
  const stuck = new Set<DeviceName>();
  for (;;) {
    await devicesGone(service, stuck, options);
    const missingBytes = await missing(service, plan.share, options);
    if (missingBytes <= 0 || left.length === 0) return parts;
    const count = nextCount(left.length, missingBytes, (first) => sumOf(unusedWithout(service, left.slice(0, first))));
    parts.push(await removeInParts(service, removalOf(plan, left.slice(0, count)), options));
    left = left.slice(count);
  }
}

/** The layers that would be removed with these images, and those that nothing uses already. */
const unusedWithout = ({ database }: PoolService, images: readonly Image[]): UsedLayer[] =>
  unusedLayers(readLayerUses(database(), new Set(images.map(idOf))));

const sumOf = (layers: readonly UsedLayer[]): number => layers.reduce((sum, { ownBytes }) => sum + ownBytes, 0);

async function spaceOf({ config, database }: PoolService) {
  const driver = readPool(database())?.driver;
  const usage =
    driver === undefined
      ? undefined
      : await poolUsageOf(recordedDriver(driver), paths.poolDir(config), config.dmControl);
  if (usage === undefined) throw unavailable(`it is unknown how full pool ${config.pool} is: it is not attached`);
  return { usedBytes: usage.usedBytes, totalBytes: usage.totalBytes };
}

const missingIn = ({ usedBytes, totalBytes }: Awaited<ReturnType<typeof spaceOf>>, share: number): number =>
  Math.ceil(totalBytes * share) - (totalBytes - usedBytes);

const pollMs = 100;
/** A file system frees a deleted file's blocks in the background. */
const freeingMs = 1_000;
/** Enough for the devices of a few images. A device in use may take much longer; prune does not wait for its space. */
const removalMs = 60_000;

/** How many more bytes must be free; 0 or less: enough are. */
async function missing(service: PoolService, share: number, { signal }: Options): Promise<number> {
  const untilMs = performance.now() + freeingMs;
  for (;;) {
    const bytes = missingIn(await spaceOf(service), share);
    if (bytes <= 0 || performance.now() > untilMs) return bytes;
    await pause(signal);
  }
}

/**
 * Waits until the devices are gone. Adds those that are not gone in time to `stuck`; later calls do not wait for them.
 */
async function devicesGone({ database }: PoolService, stuck: Set<DeviceName>, { signal }: Options): Promise<void> {
  const untilMs = performance.now() + removalMs;
  for (;;) {
    const waiting = pendingRemovals(database()).filter(({ device }) => !stuck.has(device));
    if (waiting.length === 0) return;
    if (performance.now() > untilMs) {
      for (const { device } of waiting) stuck.add(device);
      return;
    }
    await pause(signal);
  }
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await delay(pollMs, undefined, { signal }).catch(() => undefined);
  signal?.throwIfAborted();
}

/** A forecast from the measured sizes. */
async function foresee(
  service: PoolService,
  candidates: readonly Image[],
  { untilFreeShare }: PruneRules,
): Promise<Pruned> {
  const space = untilFreeShare === undefined ? null : await spaceOf(service);
  const missingBytes = space === null ? Number.POSITIVE_INFINITY : missingIn(space, untilFreeShare ?? 0);
  const freed = (count: number) => sumOf(unusedWithout(service, candidates.slice(0, count)));
  const images = candidates.slice(
    0,
    space === null ? candidates.length : firstCount(candidates.length, (count) => freed(count) >= missingBytes),
  );
  const layers = unusedWithout(service, images).map(({ chainId, ownBytes }) => ({ chainId, bytes: ownBytes }));
  return { images: images.map(described), layers, kept: [], space };
}
