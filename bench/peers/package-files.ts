// Room: bench. Owns the choice of the packages' files that an image is made of: the same files on every machine that has the
// same packages.
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Directories, files and symbolic links. */
export interface Entry {
  /** Relative to the packages' root. */
  readonly path: string;
  readonly bytes: number;
}

export interface Wanted {
  readonly bytes: number;
  readonly entries: number;
}

const largeBytes = 64 * 1024;

function* entriesBelow(root: string, directory = ""): Generator<Entry> {
  const names = readdirSync(join(root, directory)).sort();
  for (const name of names) {
    const path = directory === "" ? name : `${directory}/${name}`;
    const facts = lstatSync(join(root, path));
    yield { path, bytes: facts.isFile() ? facts.size : 0 };
    if (facts.isDirectory()) yield* entriesBelow(root, path);
  }
}

/** Of `items` as many as weigh `share` of all, spread evenly. */
function spread<T>(items: readonly T[], share: number, weight: (item: T) => number): T[] {
  let [due, taken] = [0, 0];
  return items.filter((item) => {
    due += weight(item) * share;
    if (taken + weight(item) / 2 > due) return false;
    taken += weight(item);
    return true;
  });
}

const sum = (items: readonly Entry[]): number => items.reduce((total, { bytes }) => total + bytes, 0);

/** Few large files give the bytes, many small ones the entries. In the order of their paths. */
export function chooseEntries(root: string, wanted: Wanted): Entry[] {
  const all = [...entriesBelow(root)];
  const isLarge = ({ bytes }: Entry) => bytes > largeBytes;
  const small = all.filter((entry) => !isLarge(entry));
  const large = all.filter(isLarge);
  const many = spread(small, wanted.entries / small.length, () => 1);
  const few = spread(large, (wanted.bytes - sum(many)) / sum(large), ({ bytes }) => bytes);
  return [...many, ...few].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** `count` runs of the entries, of about as many bytes each; an entry counts as its header does, too. */
export function inLayers(entries: readonly Entry[], count: number): Entry[][] {
  const headerBytes = 512;
  const weight = ({ bytes }: Entry) => bytes + headerBytes;
  const share = entries.reduce((total, entry) => total + weight(entry), 0) / count;
  const layers: Entry[][] = Array.from({ length: count }, () => []);
  let before = 0;
  for (const entry of entries) {
    layers[Math.min(count - 1, Math.floor(before / share))]?.push(entry);
    before += weight(entry);
  }
  return layers;
}
