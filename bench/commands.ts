// Room: bench. Measures what a command costs beside an 'up': processor time and time until it has ended.
//
//   node_modules/.bin/bun bench/commands.ts [starts]
import "./set-up.ts";
import { join } from "node:path";
import { childEnvironment, readConfig } from "../src/config.ts";
import { Canceller } from "../src/domain/cancellation.ts";
import { writeImage } from "../test/support/images.ts";
import { file } from "../test/support/tar-entries.ts";
import { MeasuredUp } from "./http-server.ts";
import { freshDisk, median, ms, printTable } from "./measure.ts";

const starts = Number(process.argv[2] ?? 10);
const layers = 60;
const launcher = join(import.meta.dir, "../snapmill");

await using disk = await freshDisk(8);
const own = {
  SNAPMILL_STATE_DIR: join(disk.directory, "state"),
  SNAPMILL_RUN_DIR: "/run/snapmill-bench",
  SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
  SNAPMILL_LOG_LEVEL: "warn",
  SNAPMILL_DRIVER: "reflink",
};
await using _up = await MeasuredUp.start(readConfig({}, own), own, new Canceller().signal);
const image = await writeImage(
  join(disk.directory, "image"),
  Array.from({ length: layers }, (_, index) => ({ content: [file(`file-${index}`, "x")] })),
);

/** Milliseconds of processor time, and until it has ended. Throws when it fails. */
async function start(args: readonly string[]): Promise<{ readonly cpuMs: number; readonly wallMs: number }> {
  const beganMs = performance.now();
  const env = { ...childEnvironment({}), ...own };
  const child = Bun.spawn([launcher, ...args], { env, stdout: "ignore", stderr: "ignore" });
  if ((await child.exited) !== 0) throw new Error(`snapmill ${args.join(" ")} has failed`);
  const wallMs = performance.now() - beganMs;
  return { cpuMs: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1000, wallMs };
}

const commands = [["--version"], ["ls"], ["status"], ["unpack", image.reference]];
// The first has the layers unpacked.
await start(["unpack", image.reference]);
const rows: string[][] = [];
for (const args of commands) {
  const samples: Awaited<ReturnType<typeof start>>[] = [];
  for (let index = 0; index < starts; index += 1) samples.push(await start(args));
  const [cpuMs, wallMs] = [samples.map((each) => each.cpuMs), samples.map((each) => each.wallMs)];
  rows.push([args[0] ?? "", ms(median(cpuMs)), ms(Math.min(...cpuMs)), ms(median(wallMs)), ms(Math.min(...wallMs))]);
}
printTable(
  `Commands beside an 'up', ${starts} starts each; 'unpack' finds its ${layers} layers there`,
  ["command", "processor time", "least", "until it has ended", "least"],
  rows,
);
