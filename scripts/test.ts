// Room: scripts. Owns the run of the tests: each file in its own process and directory, two at a time. The output of a
// file is shown when it fails.
//
//   npm test                        everything
//   npm test -- test/jobs tidy      the files whose path contains one of the words
//
// Two workers run at a time: one starts with most files, one with the longest file and the device-mapper suites
// (*.dm.test.ts); each then helps the other. The suites run on this kernel if it has thin-pools, else in guests, several files
// together (see test/guest). In a guest, suites that take minutes (*.slow.dm.test.ts) run only on request: npm test -- slow.dm
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../src/config.ts";
import { frugalBun, guestTroubleVariable } from "../test/guest/guest.ts";
import { mountsBelow } from "../test/support/residue.ts";
import { type Result, runFile, runInGuest } from "./test-files.ts";
import { findTestMachine, type TestMachine } from "./test-machine.ts";
import { whyNoDisk, whyNoRedis } from "./test-needs.ts";
import { TestProcesses } from "./test-process.ts";
import { nothing, slowestTests, sum, summaryLine, type TimedTest } from "./test-report.ts";

const root = join(import.meta.dir, "..");
const tmpfsMagic = 0x01021994;

/** A guest that dies takes the results of all its files with it, and its files share one time limit. */
const filesPerGuest = 4;
/** Takes nearly as long as all others together, and mostly waits: beside them it costs little. */
const longest = "test/e2e/crash.test.ts";
const slowestShown = 10;

/** Where the tests' files go: a disk, so that pools behave as in production. */
function temporaryBase(): string {
  const given = childEnvironment({})["TMPDIR"];
  if (given !== undefined && given !== "") return given;
  return statfsSync("/tmp").type === tmpfsMagic ? "/var/tmp" : "/tmp";
}

const processes = new TestProcesses();
let outcome = nothing;
const timed: TimedTest[] = [];
/** What every further test needs, once it is missing. */
let missing: string | undefined;

function tell(...results: readonly Result[]): void {
  for (const result of results) {
    outcome = sum(outcome, result.outcome);
    timed.push(...result.tests);
    console.log(result.text);
  }
}

async function main(words: readonly string[]): Promise<number> {
  const all = [...new Bun.Glob("test/**/*.test.ts").scanSync(root)].sort();
  const files = words.length === 0 ? all : all.filter((file) => words.some((word) => file.includes(word)));
  if (files.length === 0) {
    console.error(`no test file's path contains ${words.join(" or ")}`);
    return 1;
  }
  // A short name: UNIX sockets lie below it.
  const directory = mkdtempSync(join(temporaryBase(), "sm-"));
  try {
    missing = whyNoDisk(directory) ?? (await whyNoRedis(directory));
    if (missing === undefined) await runAll(await planRun(files, words.length > 0, directory));
  } finally {
    if (mountsBelow(directory).length === 0) rmSync(directory, { recursive: true, force: true });
  }
  return conclude();
}

/** For each worker the lists that it works off, one after the other; a list that two workers have is shared. */
type Plan = readonly (readonly Batch[][])[];

/** Some files that run together. */
type Batch = () => Promise<void>;

/** Decides where the files run, and prints it. */
async function planRun(files: readonly string[], areAskedFor: boolean, directory: string): Promise<Plan> {
  let count = 0;
  // All of one length, so that none is the beginning of another.
  const next = () => join(directory, String(count++).padStart(4, "0"));
  const suites = files.filter(isSuite);
  const others = files.filter((file) => !isSuite(file));
  console.log(`${others.length} test files on this machine, ${suites.length} device-mapper suites`);
  const machine = files.some(needsDeviceMapper) ? await findTestMachine(processes) : undefined;
  if (processes.isInterrupted) return [];
  const environment: Record<string, string> =
    machine?.kind === "broken" ? { [guestTroubleVariable]: machine.text } : {};
  const batchOf = (file: string) => () => run(file, next(), environment);
  const most = others.filter((file) => file !== longest).map(batchOf);
  const first = others.filter((file) => file === longest).map(batchOf);
  const batches = machine === undefined ? [] : planSuites(machine, suites, areAskedFor, next);
  return [
    [most, batches],
    [first, batches, most],
  ];
}

const isSuite = (file: string): boolean => file.endsWith(".dm.test.ts");

/** The suites, and the tests of the guest itself. */
const needsDeviceMapper = (file: string): boolean =>
  isSuite(file) || file.startsWith("test/guest/") || file === "test/scripts/test-files.test.ts";

async function runAll(plan: Plan): Promise<void> {
  await Promise.all(
    plan.map(async (lists) => {
      for (const list of lists) {
        while (list.length > 0 && canGoOn()) await list.shift()?.();
      }
    }),
  );
}

/** False once the run is interrupted or the disk is full, which would fail every further file. */
function canGoOn(): boolean {
  missing ??= whyNoDisk(temporaryBase());
  return missing === undefined && !processes.isInterrupted;
}

async function run(file: string, directory: string, environment: Readonly<Record<string, string>>): Promise<void> {
  tell(...(await runFile(processes, file, directory, environment)));
}

/** The device-mapper suites in batches, for where they can run; prints where that is. */
function planSuites(machine: TestMachine, files: readonly string[], areAskedFor: boolean, next: () => string): Batch[] {
  if (files.length === 0 && machine.kind !== "broken") return [];
  const say = (text: string) => console.log(`device-mapper suites: ${text}`);
  switch (machine.kind) {
    case "here":
      say(machine.text);
      return files.map((file) => () => run(file, next(), {}));
    case "guest": {
      say(machine.text);
      const quick = areAskedFor ? files : files.filter((file) => !file.endsWith(".slow.dm.test.ts"));
      if (quick.length < files.length) {
        say(`${files.length - quick.length} slow ones are left out here; to run them: npm test -- slow.dm`);
      }
      return guestBatches(quick, next);
    }
    case "nowhere":
      say(`skipped: ${machine.reason}`);
      outcome = sum(outcome, { ...nothing, skipped: files.map((title) => ({ title, reason: machine.reason })) });
      return [];
    case "broken":
      outcome = sum(outcome, { ...nothing, failed: files.length });
      say(`FAIL, all ${files.length} of them: ${machine.text}`);
      return [];
  }
}

/** Several files per guest, in one process: a boot takes seconds, and so does a start of bun there. */
function guestBatches(files: readonly string[], next: () => string): Batch[] {
  const environment = { ...frugalBun, CI: "true", NO_COLOR: "1", TMPDIR: "/tmp/in-guest" };
  return Array.from({ length: Math.ceil(files.length / filesPerGuest) }, (_, index) => async () => {
    const batch = files.slice(index * filesPerGuest, (index + 1) * filesPerGuest);
    tell(...(await runInGuest(processes, batch, next(), environment)));
  });
}

/** Prints the last lines of the run; returns its exit status. */
function conclude(): number {
  for (const { title, reason } of outcome.skipped) console.log(`skipped: ${title}: ${reason}`);
  const slowest = slowestTests(timed, slowestShown);
  if (timed.length > slowestShown) console.log(["the slowest tests:", ...slowest].join("\n"));
  if (processes.isInterrupted) console.log("interrupted: not every file was run");
  if (missing !== undefined) {
    outcome = sum(outcome, { ...nothing, failed: 1 });
    console.log(`FAIL: not every file was run: ${missing}`);
  }
  console.log(summaryLine(outcome));
  const isWell = outcome.failed === 0 && outcome.passed + outcome.skipped.length > 0;
  return isWell && !processes.isInterrupted ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => processes.interrupt());
}

process.exit(await main(process.argv.slice(2)));
