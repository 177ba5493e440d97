// Room: service. Owns which images a prune removes, and in which order; pure functions.
import type { Image } from "../metadata/images.ts";

export interface PruneRules {
  /** Only images that were last asked for longer ago than this. */
  readonly olderThanMs?: number | undefined;
  /** Leave so many of the images with names, those that were asked for last. */
  readonly keep?: number | undefined;
  /** Go on until this share of the pool is free, from 0 to 1. */
  readonly untilFreeShare?: number | undefined;
}

/**
 * The images that may go, in the order in which they do: those without a name, then those with one, each the longest not
 * asked for first. Without any rule only those without a name. Pinned images never go.
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

/** Images that are removed together before the pool's free space is looked at again, at most. */
const perLook = 10;

/**
 * How many of the candidates to remove next, so that about `missingBytes` become free: none too many by what was measured,
 * and no more than ten, since what was measured may be less than what is freed. `freedBy` says what the first `count` free.
 */
export const nextCount = (candidates: number, missingBytes: number, freedBy: (count: number) => number): number =>
  firstCount(Math.min(candidates, perLook), (count) => count > 0 && freedBy(count) >= missingBytes);

/** The smallest count up to `atMost` that is enough; `atMost` when none is. Counts beyond one that is enough are, too. */
export function firstCount(atMost: number, isEnough: (count: number) => boolean): number {
  let [low, high] = [0, atMost];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
