// Room: bench. Compares unpacks with those of other programs, in one run: each way on a fresh disk, in turns, up to the end of
// a syncfs of what it wrote to.
//
//   node_modules/.bin/bun bench/peers.ts [--rounds N] [--images abcde] [--scale N] [--only host|guest]
//
// Fetches the peers and what its images are made of, and installs nothing. The second table is that of thin-pools: in the
// guest where this kernel has no device-mapper, with images a twentieth as large.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { childEnvironment } from "../src/config.ts";
import { AbortReason, Canceller } from "../src/domain/cancellation.ts";
import { runCommand } from "../src/system/process/commands.ts";
import { freshDisk } from "./measure.ts";
import { hostWays, thinPoolWays } from "./peers/choice.ts";
import { buildImages, type PeerImage, type Sizes } from "./peers/images.ts";
import { type Measured, measureWay, memoryOfWay } from "./peers/measure-way.ts";
import { printAccounts, printComparison } from "./peers/report.ts";
import type { Tools, Way } from "./peers/way.ts";
import { runSelfInGuest, thinPoolsAreHere } from "./self-in-guest.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    images: { type: "string", default: "abcde" },
    scale: { type: "string", default: "1" },
    only: { type: "string" },
  },
});
const [rounds, scale] = [Number(values.rounds), Number(values.scale)];
if (
  !(rounds >= 1 && scale > 0 && /^[a-e]+$/.test(values.images) && [undefined, "host", "guest"].includes(values.only))
) {
  console.error("usage: bench/peers.ts [--rounds N] [--images abcde] [--scale N] [--only host|guest]");
  process.exit(2);
}

const canceller = new Canceller();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => canceller.cancel(new AbortReason("interrupted", `interrupted by ${name}`)));
}
const { signal } = canceller;
const tell = (sentence: string): void => console.error(sentence);

const guestScale = 1 / 20;
const setUpMs = 30 * 60_000;

const sizesOf = (factor: number): Sizes => ({
  whole: { bytes: 350 * 2 ** 20 * factor, entries: Math.round(13_000 * factor) },
  layers: 8,
  tinyLayers: factor < 1 ? 20 : 60,
  family: factor < 1 ? 5 : 20,
  shared: { bytes: 60 * 2 ** 20 * factor, entries: Math.round(2_500 * factor) },
});

async function setUp(): Promise<{ readonly tools: Tools; readonly files: string }> {
  const script = join(import.meta.dir, "peers/setup.sh");
  const { stdout } = await runCommand("bash", [script], { timeoutMs: setUpMs, signal });
  const [programs = "", libraries = "", files = ""] = stdout.trim().split("\n");
  const environment = { PATH: `${programs}:${childEnvironment({})["PATH"] ?? ""}`, LD_LIBRARY_PATH: libraries };
  return { tools: { environment, signal }, files };
}

type Samples = ReadonlyMap<Way, Measured[]>;

/** The ways take turns, and each round begins with another one. */
async function inTurns(ways: readonly Way[], image: PeerImage, directoryOf: () => Promise<Room>): Promise<Samples> {
  const able = ways.filter((way) => way.lacks?.(image) === undefined);
  const samples = new Map<Way, Measured[]>(able.map((way) => [way, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const index of able.keys()) {
      const way = able[(index + round) % able.length];
      if (way === undefined) continue;
      await using room = await directoryOf();
      const measured = await measureWay(way, image, room.directory, signal);
      samples.get(way)?.push(measured);
      tell(`image ${image.letter}, round ${round + 1}: ${way.name} ${(measured.ms / 1000).toFixed(2)} s`);
    }
  }
  return samples;
}

interface Room extends AsyncDisposable {
  readonly directory: string;
}

/** In the guest all files are in memory, where one directory is as fresh as another disk. */
function freshDirectory(): Promise<Room> {
  const directory = mkdtempSync(join(tmpdir(), "sp-"));
  const remove = () => Promise.resolve(rmSync(directory, { recursive: true, force: true }));
  return Promise.resolve({ directory, [Symbol.asyncDispose]: remove });
}

async function compare(kind: "host" | "thin-pool"): Promise<void> {
  const { tools, files } = await setUp();
  const isHost = kind === "host";
  await using scratch = isHost ? await freshDisk(12) : await freshDirectory();
  const directory = join(scratch.directory, "images");
  mkdirSync(directory);
  tell("making the images");
  const sizes = sizesOf(scale * (isHost ? 1 : guestScale));
  const images = await buildImages({ files, directory, signal }, sizes, values.images);
  const ways = isHost ? hostWays(tools) : thinPoolWays(tools);
  const roomOf = isHost ? () => freshDisk(16) : freshDirectory;
  for (const image of images) {
    const samples = await inTurns(ways, image, roomOf);
    printComparison(image, ways, samples);
    printAccounts(samples);
    for (const way of ways.filter(({ name }) => name.startsWith("snapmill"))) {
      await using room = await roomOf();
      (await memoryOfWay(way, image, room.directory)).print(`${way.name}: memory at its peak`);
    }
  }
}

try {
  if (values.only !== "guest") await compare("host");
  if (values.only !== "host") {
    if (thinPoolsAreHere()) await compare("thin-pool");
    else {
      // Here, since the guest has no network.
      await setUp();
      process.exitCode = await runSelfInGuest(import.meta.path, [...process.argv.slice(2), "--only", "guest"]);
    }
  }
} catch (error) {
  console.error(signal.aborted ? "interrupted: everything was taken down" : error);
  process.exitCode = signal.aborted ? 130 : 1;
}
