// Room: scripts. Owns the run of the tests: each file in a process and a directory of its own, a few at once.
// What a file says is shown when it fails.
//
//   npm test                        everything
//   npm test -- test/jobs tidy      the files whose path contains one of the words
//
// Two lanes run at once: one for most files, one for the longest; whichever is through takes up the device-mapper suites
// (*.dm.test.ts). Those run on this kernel where it has thin-pools, else in guests, several files together (see test/guest).
// There, those that take minutes (*.slow.dm.test.ts) run when they are asked for: npm test -- slow.dm
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../src/config.ts";
import { frugalBun } from "../test/guest/guest.ts";
import { mountsBelow } from "../test/support/residue.ts";
import { type Result, runFile, runInGuest } from "./test-files.ts";
import { findGround } from "./test-grounds.ts";
import { TestProcesses } from "./test-process.ts";
import { nothing, sum, summaryLine } from "./test-report.ts";

const root = join(import.meta.dir, "..");
const tmpfsMagic = 0x01021994;

/** A guest that dies takes the results of all of its files along; and all of them have its time together. */
const filesPerGuest = 4;
/** Takes nearly as long as all others together, and is patient: so it does not hold them up. */
const longest = "test/e2e/crash.test.ts";

/** Where the tests' files go: a disk, so that pools behave as they do in earnest. */
function temporaryBase(): string {
  const given = childEnvironment({})["TMPDIR"];
  if (given !== undefined && given !== "") return given;
  return statfsSync("/tmp").type === tmpfsMagic ? "/var/tmp" : "/tmp";
}

const processes = new TestProcesses();
let outcome = nothing;

function tell(...results: readonly Result[]): void {
  for (const result of results) {
    outcome = sum(outcome, result.outcome);
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
  let count = 0;
  // All of one length, so that none is the beginning of another.
  const next = () => join(directory, String(count++).padStart(4, "0"));
  const isSuite = (file: string) => file.endsWith(".dm.test.ts");
  const others = files.filter((file) => !isSuite(file) && file !== longest);
  let planned: Promise<Batch[]> | undefined;
  /** Whichever lane is through first begins with the suites, and the other one joins in. */
  const runSuites = async () => {
    planned ??= planSuites(files.filter(isSuite), words.length > 0, next);
    const batches = await planned;
    for (let run = batches.shift(); run !== undefined && !processes.isInterrupted; run = batches.shift()) await run();
  };
  const lanes = [others, files.filter((file) => file === longest)].map(async (queue) => {
    await runQueue(queue, next);
    await runSuites();
  });
  try {
    await Promise.all(lanes);
  } finally {
    if (mountsBelow(directory).length === 0) rmSync(directory, { recursive: true, force: true });
  }
  for (const { title, reason } of outcome.skipped) console.log(`skipped: ${title}: ${reason}`);
  if (processes.isInterrupted) console.log("interrupted: not every file was run");
  console.log(summaryLine(outcome));
  const isWell = outcome.failed === 0 && outcome.passed + outcome.skipped.length > 0;
  return isWell && !processes.isInterrupted ? 0 : 1;
}

/** One file after the other. */
async function runQueue(files: readonly string[], next: () => string): Promise<void> {
  for (const file of files) {
    if (processes.isInterrupted) return;
    tell(...(await runFile(processes, file, next())));
  }
}

/** Some suites that run together. */
type Batch = () => Promise<void>;

/** The device-mapper suites in batches, to be run where they can be; says where that is. */
async function planSuites(files: readonly string[], areAskedFor: boolean, next: () => string): Promise<Batch[]> {
  if (files.length === 0) return [];
  const ground = await findGround(processes);
  if (processes.isInterrupted) return [];
  const say = (text: string) => console.log(`device-mapper suites: ${text}`);
  switch (ground.kind) {
    case "here":
      say(ground.text);
      return files.map((file) => () => runQueue([file], next));
    case "guest": {
      say(ground.text);
      const quick = areAskedFor ? files : files.filter((file) => !file.endsWith(".slow.dm.test.ts"));
      if (quick.length < files.length) {
        say(`${files.length - quick.length} slow ones are left out here; to run them: npm test -- slow.dm`);
      }
      return guestBatches(quick, next);
    }
    case "nowhere":
      say(`skipped: ${ground.reason}`);
      outcome = sum(outcome, { ...nothing, skipped: files.map((title) => ({ title, reason: ground.reason })) });
      return [];
    case "broken":
      tell({ outcome: { ...nothing, failed: 1 }, text: `FAIL device-mapper suites: ${ground.text}` });
      return [];
  }
}

/** Several files in each guest, in one process: a boot takes seconds there, and so does a start of bun. */
function guestBatches(files: readonly string[], next: () => string): Batch[] {
  const environment = { ...frugalBun, CI: "true", NO_COLOR: "1", TMPDIR: "/tmp/in-guest" };
  return Array.from({ length: Math.ceil(files.length / filesPerGuest) }, (_, index) => async () => {
    const batch = files.slice(index * filesPerGuest, (index + 1) * filesPerGuest);
    tell(...(await runInGuest(processes, batch, next(), environment)));
  });
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => processes.interrupt());
}

process.exit(await main(process.argv.slice(2)));
