// Room: images. Owns the walk through nested indexes to the manifests that may be the image of a platform.
import { isSnapmillError } from "../domain/errors.ts";
import { type DocumentReader, FetchFailure, LimitExceeded } from "./document-reader.ts";
import { documents, judge } from "./documents.ts";
import { type IndexEntry, indexTypes } from "./index-entry.ts";
import { formatPlatform, type Platform, platformDistance } from "./platform.ts";

const maxIndexDepth = 4;
/** The platforms of other entries, for the error that lists them. */
const maxOffered = 100;

export interface Candidates {
  /** Entries whose platform the index states and this machine runs: the nearest first, otherwise in the index's order. */
  readonly fitting: readonly { readonly entry: IndexEntry; readonly platform: Platform }[];
  /** Entries without a platform. As in containerd, they come after all that have one. */
  readonly unsaid: readonly IndexEntry[];
  /** The platforms of all others. */
  readonly offered: string[];
  /** The failures to read nested indexes. They matter only when nothing else is found. */
  readonly problems: readonly unknown[];
}

/** Whether the failure only says that this entry is not the image that is wanted. */
export const isSkippable = (error: unknown): boolean =>
  isSnapmillError(error) && !(error instanceof LimitExceeded || error instanceof FetchFailure);

export async function collectCandidates(
  reader: DocumentReader,
  entries: readonly IndexEntry[],
  wanted: Platform,
): Promise<Candidates> {
  const fitting: { entry: IndexEntry; platform: Platform; distance: number }[] = [];
  const unsaid: IndexEntry[] = [];
  const offered: string[] = [];
  const problems: unknown[] = [];
  /** The indexes that have been read, so that none is read twice. */
  const visited = new Set<string>();

  function add(entry: IndexEntry): void {
    const { platform } = entry;
    if (platform === undefined) {
      if (entry.digest === "" || !visited.has(entry.digest)) unsaid.push(entry);
      visited.add(entry.digest);
      return;
    }
    const distance = platformDistance(wanted, platform);
    if (distance !== undefined) fitting.push({ entry, platform, distance });
    else if (platform.os !== "unknown" && offered.length < maxOffered) offered.push(formatPlatform(platform));
  }

  async function nestedIn(entry: IndexEntry): Promise<readonly IndexEntry[]> {
    if (visited.has(entry.digest)) return [];
    visited.add(entry.digest);
    try {
      const descriptor = judge(documents.descriptor, entry.value, `entry ${entry.number} of its index`);
      const { manifests } = await reader.blob(documents.index, descriptor, "index");
      return await reader.entriesOf(manifests);
    } catch (error) {
      reader.throwIfAborted();
      if (!isSkippable(error)) throw error;
      problems.push(error);
      return [];
    }
  }

  async function walk(level: readonly IndexEntry[], depth: number): Promise<void> {
    if (depth > maxIndexDepth) throw new LimitExceeded(`its indexes are nested more than ${maxIndexDepth} deep`);
    for (const entry of level) {
      if (indexTypes.includes(entry.mediaType)) await walk(await nestedIn(entry), depth + 1);
      else add(entry);
    }
  }

  await walk(entries, 0);
  // The sort is stable: equally near entries stay in order.
  fitting.sort((one, other) => one.distance - other.distance);
  return { fitting, unsaid, offered, problems };
}
