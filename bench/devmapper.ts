// Room: bench. Measures each operation on device-mapper against containerd's own devmapper snapshotter, in turns.
//
//   node_modules/.bin/bun bench/devmapper.ts [--turns N] [--stored N,N]
//
// Where the kernel has no device-mapper, it runs itself in the guest. Compare figures of one run only: in the guest a
// process start costs a hundred times what it costs on an ordinary kernel, so that there they count processes.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, printTable, timeAll, timeEach } from "./measure.ts";
import { runSelfInGuest, thinPoolsAreHere } from "./self-in-guest.ts";
import { containerdWay, snapmillWay, type Way } from "./snapshot-ways.ts";

const parent = "parent";
const atOnce = 4;
const countedTurns = 3;
/** Warm-up turns for the JIT. */
const warmTurns = 5;

/** `limits`: how long it may take, as a share of containerd's time, with dmsetup and with libdevmapper. */
interface Operation {
  readonly title: string;
  readonly limits: readonly [dmsetup: number | undefined, libdevmapper: number];
  readonly isRemoval?: true;
  readonly run: (way: Way, turn: string) => unknown;
}

/** In the order in which they are possible; together they leave as many snapshots as there were. */
const alone: readonly Operation[] = [
  { title: "prepare of a base", limits: [0.4, 0.15], run: (way, turn) => way.prepare(`base-${turn}`) },
  { title: "prepare from a parent", limits: [0.75, 0.15], run: (way, turn) => way.prepare(`active-${turn}`, parent) },
  { title: "view", limits: [0.75, 0.15], run: (way, turn) => way.view(`view-${turn}`, parent) },
  { title: "usage of an active one", limits: [undefined, 0.15], run: (way, turn) => way.usage(`active-${turn}`) },
  { title: "stat", limits: [undefined, 0.15], run: (way, turn) => way.stat(`active-${turn}`) },
  { title: "commit", limits: [0.5, 0.15], run: (way, turn) => way.commit(`name-${turn}`, `active-${turn}`) },
  { title: "remove of a view", limits: [0.75, 0.15], isRemoval: true, run: (way, turn) => way.remove(`view-${turn}`) },
  {
    title: "remove of a committed one",
    limits: [0.75, 0.15],
    isRemoval: true,
    run: (way, turn) => way.remove(`name-${turn}`),
  },
];

const each = (action: (index: number) => Promise<unknown>) => timeAll(atOnce, atOnce, action);
const together: readonly Operation[] = [
  {
    title: `prepare, ${atOnce} callers at once`,
    limits: [0.6, 0.15],
    run: (way, turn) => each((index) => way.prepare(`active-${turn}-${index}`, parent)),
  },
  {
    title: `commit, ${atOnce} callers at once`,
    limits: [0.6, 0.15],
    run: (way, turn) => each((index) => way.commit(`name-${turn}-${index}`, `active-${turn}-${index}`)),
  },
];

async function tidyUp(way: Way, turn: string): Promise<void> {
  await way.remove(`base-${turn}`);
  for (let index = 0; index < atOnce; index++) await way.remove(`name-${turn}-${index}`);
}

type Samples = ReadonlyMap<Operation, ReadonlyMap<Way, number[]>>;

/** Calls `sample` for every operation on every way, `turns` times; the ways alternate, and begin in turns. */
async function inTurns(
  ways: readonly Way[],
  turns: readonly string[],
  sample: (action: () => unknown) => Promise<number>,
): Promise<Samples> {
  const samples = new Map([...alone, ...together].map((operation) => [operation, new Map<Way, number[]>()]));
  for (const [index, turn] of turns.entries()) {
    const order = ways.map((_, place) => ways[(place + index) % ways.length]).filter((way) => way !== undefined);
    for (const [operation, ofWays] of samples) {
      for (const way of order) {
        const taken = ofWays.get(way) ?? [];
        ofWays.set(way, taken);
        taken.push(await sample(() => operation.run(way, turn)));
      }
    }
    for (const way of ways) await tidyUp(way, turn);
  }
  return samples;
}

const milliseconds = async (action: () => unknown): Promise<number> => (await timeEach(1, action))[0] ?? Number.NaN;

/** Processes, and threads, that the whole machine has started: the kernel's own count. */
function startedSoFar(): number {
  const [, count = ""] = /^processes (\d+)$/m.exec(readFileSync("/proc/stat", "utf8")) ?? [];
  return Number(count);
}

async function started(action: () => unknown): Promise<number> {
  const before = startedSoFar();
  await action();
  return startedSoFar() - before;
}

const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`);

async function store(way: Way, name: string): Promise<void> {
  await way.prepare(`${name}-active`, parent);
  await way.commit(name, `${name}-active`);
}

/** `share` of containerd's time, and whether it is within its limit. */
const ratio = (share: number, limit: number | undefined): string => {
  const figure = `${share.toFixed(share < 0.01 ? 4 : 2)}×`;
  if (limit === undefined) return figure;
  return `${figure} (≤ ${limit}: ${share <= limit ? "met" : "MISSED"})`;
};

function printTimes(stored: number, ways: readonly Way[], samples: Samples, previous: Samples | undefined): void {
  const [peer, ...ours] = ways;
  if (peer === undefined) return;
  const medianOf = (of: Samples, operation: Operation, way: Way) =>
    median(of.get(operation)?.get(way) ?? []) - (operation.isRemoval === true ? way.collectionMs : 0);
  const rows = [...samples.keys()].map((operation) => [
    operation.title,
    `${medianOf(samples, operation, peer).toFixed(1)} ms`,
    ...ours.flatMap((way, index) => {
      const took = medianOf(samples, operation, way);
      const before = previous === undefined ? undefined : medianOf(previous, operation, way);
      return [
        `${took.toFixed(1)} ms`,
        ratio(took / medianOf(samples, operation, peer), operation.limits[index]),
        ...(before === undefined ? [] : [`${(took / before).toFixed(2)}×`]),
      ];
    }),
  ]);
  const more = previous === undefined ? [] : ["against fewer stored"];
  const header = ["operation", peer.name, ...ours.flatMap(({ name }) => [name, "of containerd's", ...more])];
  printTable(`Medians with ${stored} snapshots stored`, header, rows);
  const spared = `${peer.collectionMs.toFixed(1)} ms for a collection of nothing`;
  console.log(`\n${peer.name}'s removals are without the ${spared} that this way of having them done at once costs.`);
}

function printStarts(ways: readonly Way[], counts: Samples): void {
  const rows = [...counts].map(([{ title }, ofWays]) => [
    title,
    ...ways.map((way) => String(Math.min(...(ofWays.get(way) ?? [])))),
  ]);
  printTable("Processes that each starts", ["operation", ...ways.map(({ name }) => name)], rows);
  console.log(`\nThe least of ${countedTurns} turns. Threads count, too: those that the kernel starts for each active device are what
the library's column shows.`);
}

async function compare(turns: number, steps: readonly number[]): Promise<void> {
  // A short name: sockets lie below it.
  const scratch = mkdtempSync(join(tmpdir(), "sb-"));
  try {
    await using taken = new AsyncDisposableStack();
    const ways: Way[] = [];
    for (const begin of [
      () => containerdWay(join(scratch, "c")),
      () => snapmillWay(join(scratch, "d"), "dmsetup"),
      () => snapmillWay(join(scratch, "l"), "libdevmapper"),
    ]) {
      const way = taken.use(await begin());
      await way.prepare("parent-active");
      await way.commit(parent, "parent-active");
      ways.push(way);
      console.error(`${way.name} is ready`);
    }
    await inTurns(ways, numbered("warm", warmTurns), milliseconds);
    printStarts(ways, await inTurns(ways, numbered("counted", countedTurns), started));
    let [stored, previous]: [number, Samples | undefined] = [0, undefined];
    for (const step of steps) {
      for (const way of ways) {
        await timeAll(step - stored, atOnce, (index) => store(way, `stored-${stored + index}`));
      }
      stored = step;
      const samples = await inTurns(ways, numbered(`turn-${step}`, turns), milliseconds);
      printTimes(stored, ways, samples, previous);
      previous = samples;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: { turns: { type: "string", default: "15" }, stored: { type: "string", default: "10,200" } },
});
if (thinPoolsAreHere()) await compare(Number(values.turns), values.stored.split(",").map(Number));
else process.exitCode = await runSelfInGuest(import.meta.path, process.argv.slice(2));
