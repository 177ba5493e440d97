// Room: bench. Owns the tables of the comparison.
import { median, printTable } from "../measure.ts";
import type { PeerImage } from "./images.ts";
import type { Measured } from "./measure-way.ts";
import type { Way } from "./way.ts";

type Samples = ReadonlyMap<Way, readonly Measured[]>;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const times = (ms: number, base: number | undefined): string => (base === undefined ? "" : (ms / base).toFixed(2));

function medianMs(samples: Samples, isWanted: (name: string) => boolean): number | undefined {
  const medians = [...samples]
    .filter(([{ name }, measured]) => isWanted(name) && measured.length > 0)
    .map(([, measured]) => median(measured.map(({ ms }) => ms)));
  return medians.length === 0 ? undefined : Math.min(...medians);
}

/** Times of each way, and what they are of the floor's and of containerd's best snapshotter's. */
export function printComparison(image: PeerImage, ways: readonly Way[], samples: Samples): void {
  const floorMs = medianMs(samples, (name) => name.startsWith("floor"));
  const peerMs = medianMs(samples, (name) => name.startsWith("containerd"));
  const rows = ways.map((way) => {
    const measured = samples.get(way);
    if (measured === undefined) return [way.name, way.lacks?.(image) ?? "", "", "", "", ""];
    const all = measured.map(({ ms }) => ms).toSorted((a, b) => a - b);
    const ms = median(all);
    const flushMs = median(measured.map((each) => each.flushMs));
    const range = `${seconds(all[0] ?? ms)} to ${seconds(all.at(-1) ?? ms)}`;
    return [way.name, seconds(ms), range, seconds(flushMs), times(ms, floorMs), times(ms, peerMs)];
  });
  const size = `${(image.tarBytes / 1e6).toFixed(0)} MB of tar`;
  printTable(
    `(${image.letter}) ${image.title}: ${size}`,
    ["way", "median", "from, to", "of it the flush", "of the floor", "of containerd's best"],
    rows,
  );
}

/** Where the time of the median unpack went, for each way that says so. */
export function printAccounts(samples: Samples): void {
  for (const [{ name }, measured] of samples) {
    const typical = measured.toSorted((a, b) => a.ms - b.ms)[Math.floor(measured.length / 2)];
    if (typical?.account === undefined) continue;
    const stages = [...typical.account.stages];
    const told = stages.reduce((sum, [, ms]) => sum + ms, 0);
    printTable(
      `${name}: where the time of the median goes (${seconds(typical.ms)}; what workers do side by side counts for each)`,
      ["stage", "ms", "share"],
      [...stages, ["command, queue, flush after it", typical.ms - told] as const].map(([stage, ms]) => [
        stage,
        ms.toFixed(0),
        `${((ms / typical.ms) * 100).toFixed(0)} %`,
      ]),
    );
  }
}
