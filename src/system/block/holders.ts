// Room: system. Owns the searches for who holds a block device: each is shared by all who ask for a while.
import { type FoundHolders, noHolders } from "../../domain/holders.ts";
import { byDevice, type Found, holdersAmong } from "./holder-facts.ts";
import { scanHolders } from "./holder-scan.ts";

/** As long as one search serves whoever asks. */
const sharedMs = 2000;
interface Search {
  readonly found: Promise<Found>;
  readonly beganMs: number;
  /** Infinity while it goes on. */
  endedMs: number;
}
let shared: Search | undefined;

function search(): Search {
  const begun: Search = {
    found: scanHolders().then(byDevice),
    beganMs: performance.now(),
    endedMs: Number.POSITIVE_INFINITY,
  };
  const end = () => {
    begun.endedMs = performance.now();
  };
  begun.found.then(end, end);
  return begun;
}

/**
 * Who holds each of the block devices at `paths`, in their order; nobody for a path without one. What others found in the
 * last two seconds is used again where it names someone, so an answer may be that old.
 */
export async function holdersOfEach(paths: readonly string[]): Promise<FoundHolders[]> {
  const earlier = shared !== undefined && performance.now() < shared.beganMs + sharedMs ? shared : undefined;
  if (earlier !== undefined) {
    const found = await holdersBy(earlier, paths);
    if (found.every(({ holders }) => holders.length > 0)) return found;
    // They may have come since.
    if (shared === earlier) shared = undefined;
  }
  if (earlier === undefined) shared = undefined;
  shared ??= search();
  return await holdersBy(shared, paths);
}

/**
 * The same for whoever looks again and again: a search that goes on, or ended within two seconds, is enough, also where
 * it names nobody. So there is never more than one at a time, with pauses in between.
 */
export async function watchedHolders(paths: readonly string[]): Promise<FoundHolders[]> {
  if (shared === undefined || performance.now() >= shared.endedMs + sharedMs) shared = search();
  return await holdersBy(shared, paths);
}

async function holdersBy({ found }: Search, paths: readonly string[]): Promise<FoundHolders[]> {
  const all = await found;
  return paths.map((path) => holdersAmong(all, path));
}

export async function holdersOf(path: string): Promise<FoundHolders> {
  const [found = noHolders] = await holdersOfEach([path]);
  return found;
}
