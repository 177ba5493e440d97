// Room: bench. Measures reads over HTTP at a fixed rate, by the UNIX socket and by TCP, on an idle snapmill and while an
// image unpacks, and what the reads cost the unpack.
//
//   node_modules/.bin/bun bench/http.ts [READS-PER-SECOND] [SECONDS] [IMAGE-MIB]
import "./set-up.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { AbortReason, Canceller } from "../src/domain/cancellation.ts";
import { noReadings, type Readings, readAtRate } from "./fixed-rate.ts";
import { change, MeasuredUp, read, type Way } from "./http-server.ts";
import { buildBenchImage } from "./image.ts";
import { benchConfig, freshDisk, median, ms, percentile, printTable } from "./measure.ts";

const [perSecond = 1_000, seconds = 30, imageMib = 360] = process.argv.slice(2).map(Number);
if (![perSecond, seconds, imageMib].every((value) => value > 0)) {
  console.error("usage: bench/http.ts [READS-PER-SECOND] [SECONDS] [IMAGE-MIB], each more than 0");
  process.exit(2);
}
const snapshots = 100;
const rounds = 3;
const platform = `linux/${process.arch === "arm64" ? "arm64" : "amd64"}`;
const pool = "/v1/pools/default";
const readPaths = [`${pool}/snapshots?limit=${snapshots}`, `${pool}/snapshots/bench-7`];

const canceller = new Canceller();
const { signal } = canceller;
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => canceller.cancel(new AbortReason("interrupted", `interrupted by ${name}`)));
}
/** What is under way, for whoever waits: the tables come last. */
const tell = (sentence: string): void => console.error(sentence);

const readOver = (way: Way, isOver: () => boolean, readings: Readings): Promise<void> =>
  readAtRate(
    {
      perSecond,
      read: (index, ending) => read(way, readPaths[index % readPaths.length] ?? "", ending),
      isOver,
      signal,
    },
    readings,
  );

/** Unpacks an image that is not there, and removes it again; milliseconds of the unpack. */
async function unpackOnce({ socket }: MeasuredUp, reference: string): Promise<number> {
  const startedAtMs = performance.now();
  await change(socket, `${pool}/images/unpack`, { reference, platform }, signal);
  const tookMs = performance.now() - startedAtMs;
  await change(socket, `${pool}/images/remove`, { targets: [{ reference }] }, signal);
  return tookMs;
}

/** Unpacks again and again beside the reads, once at least; milliseconds of each. */
async function unpackBeside(up: MeasuredUp, way: Way, reference: string, readings: Readings): Promise<number[]> {
  const tookMs: number[] = [];
  let isUnpacking = true;
  const reading = readOver(way, () => !isUnpacking, readings);
  try {
    const untilMs = performance.now() + (seconds * 1_000) / rounds;
    do tookMs.push(await unpackOnce(up, reference));
    while (performance.now() < untilMs);
  } finally {
    isUnpacking = false;
    await reading;
  }
  return tookMs;
}

const row = (what: string, { samplesMs, lateMs, missed, failed }: Readings): string[] => [
  what,
  String(samplesMs.length),
  ms(percentile(samplesMs, 0.5)),
  ms(percentile(samplesMs, 0.99)),
  `${ms(percentile(lateMs, 0.5))}, ${ms(percentile(lateMs, 0.99))}`,
  `${missed}, ${failed}`,
];

async function measure(up: MeasuredUp, reference: string): Promise<void> {
  tell(`making ${snapshots} snapshots`);
  for (let index = 0; index < snapshots; index += 1) {
    await change(up.socket, `${pool}/snapshots/bench-${index}/prepare`, {}, signal);
  }
  const ways = [up.socket, up.tcp].map((way) => ({
    way,
    idle: noReadings(),
    busy: noReadings(),
    besideMs: [] as number[],
  }));
  for (const { way, idle } of ways) {
    tell(`reading over ${way.name} for ${seconds} s`);
    const untilMs = performance.now() + seconds * 1_000;
    await readOver(way, () => performance.now() > untilMs, idle);
  }
  const aloneMs: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    tell(`unpacking, round ${round} of ${rounds}: alone, then beside reads`);
    aloneMs.push(await unpackOnce(up, reference));
    for (const { way, busy, besideMs } of ways) besideMs.push(...(await unpackBeside(up, way, reference, busy)));
  }
  printTable(
    `${perSecond} reads a second for ${seconds} s: a list of ${snapshots} and one snapshot, in turns`,
    ["server", "reads", "p50", "p99", "of it sent late (p50, p99)", "missed, failed"],
    ways.flatMap(({ way, idle, busy }) => [
      row(`idle, ${way.name}`, idle),
      row(`while an image unpacks and is removed, ${way.name}`, busy),
    ]),
  );
  printTable(
    `The unpack of ${imageMib} MiB, median`,
    ["beside", "unpacks", "time"],
    [
      ["nothing", String(aloneMs.length), ms(median(aloneMs))],
      ...ways.map(({ way, besideMs }) => [`the reads over ${way.name}`, String(besideMs.length), ms(median(besideMs))]),
    ],
  );
}

async function main(): Promise<void> {
  await using scope = new AsyncDisposableStack();
  const disk = scope.use(await freshDisk(16));
  tell(`making an image of ${imageMib} MiB`);
  const { reference } = await buildBenchImage(disk.directory, { wantedBytes: imageMib * 2 ** 20, signal });
  const runDir = mkdtempSync("/run/snapmill-bench-");
  scope.defer(() => rmSync(runDir, { recursive: true, force: true }));
  const settings = {
    SNAPMILL_UNPACK_WORKERS: "1",
    SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
    SNAPMILL_RUN_DIR: runDir,
    SNAPMILL_POOL_SIZE: "8GiB",
    SNAPMILL_DEVICE_SIZE: "4GiB",
    SNAPMILL_LOG_LEVEL: "warn",
  };
  const config = benchConfig(disk, settings);
  tell("starting snapmill");
  const up = scope.use(await MeasuredUp.start(config, { ...settings, SNAPMILL_STATE_DIR: config.stateDir }, signal));
  await measure(up, reference);
}

try {
  await main();
} catch (error) {
  console.error(signal.aborted ? "interrupted: everything was taken down" : error);
  process.exitCode = signal.aborted ? 130 : 1;
}
