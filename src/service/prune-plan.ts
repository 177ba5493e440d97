// Room: service. Owns the choice and order of the images that a prune removes; pure functions.
import type { Image } from "../metadata/images.ts";

export interface PruneRules {
  /** Only images that were last requested longer ago than this. */
  readonly olderThanMs?: number | undefined;
  /** Keep this many named images, those that were requested last. */
  readonly keep?: number | undefined;
  /** Stop when this share of the pool is free, from 0 to 1. */
  readonly untilFreeShare?: number | undefined;
}

/**
 * The images that may be removed, in order: those without a name, then (only with a rule) those with one, in both
 * groups the least recently requested first. Never pinned images.
 */
export function pruneCandidates(images: readonly Image[], rules: PruneRules, nowMs: number): Image[] {
  const { olderThanMs = 0, keep = 0 } = rules;
  const unpinned = images
    .filter(({ pinnedAtMs, removedAtMs }) => pinnedAtMs === undefined && removedAtMs === undefined)
    .toSorted((one, other) => one.lastAskedAtMs - other.lastAskedAtMs);
  const named = unpinned.filter(({ names }) => names.length > 0);
  const hasRule = Object.values(rules).some((rule) => rule !== undefined);
  return [
    ...unpinned.filter(({ names }) => names.length === 0),
    ...(hasRule ? named.slice(0, Math.max(0, named.length - keep)) : []),
  ].filter(({ lastAskedAtMs }) => nowMs - lastAskedAtMs >= olderThanMs);
}

/** The most images to remove before the pool's free space is checked again. */
const perLook = 10;

/**
 * How many candidates to remove next, so that about `missingBytes` become free: by the measured sizes no more than
 * needed, and at most ten, since a removal may free more than was measured. `freedBy`: the bytes that the first `count`
 * free.
 */
export const nextCount = (candidates: number, missingBytes: number, freedBy: (count: number) => number): number =>
  firstCount(Math.min(candidates, perLook), (count) => count > 0 && freedBy(count) >= missingBytes);

/** The smallest count up to `atMost` that is enough, or `atMost` if none is. `isEnough` must be monotonic. */
export function firstCount(atMost: number, isEnough: (count: number) => boolean): number {
  let [low, high] = [0, atMost];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
