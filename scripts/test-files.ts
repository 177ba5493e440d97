// Room: scripts. Owns the run of test files in one bun process: the result of each, and what they left behind.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../src/config.ts";
import { inGuest } from "../test/guest/guest.ts";
import { clearAway, leftoversIn } from "./test-leftovers.ts";
import type { Ended, TestProcesses } from "./test-process.ts";
import {
  type FileReport,
  nothing,
  type Outcome,
  parseReport,
  sum,
  summaryLine,
  type TimedTest,
} from "./test-report.ts";

/** For a test without its own timeout; all files of a process together have longer. */
const testTimeoutMs = 60_000;
const guestTestTimeoutMs = 180_000;
const processTimeoutMs = 12 * 60_000;

/** The result of one file. */
export interface Result {
  readonly outcome: Outcome;
  /** Printed as one block. */
  readonly text: string;
  readonly tests: readonly TimedTest[];
}

interface Verdict {
  readonly file: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly tests: readonly TimedTest[];
  /** Failures outside the tests: the process died, something was left behind. */
  readonly failures: readonly string[];
}

const flagsOf = (report: string, timeoutMs: number): string[] => [
  "test",
  // For concurrent tests, which mostly wait.
  "--max-concurrency=2",
  "--only-failures",
  `--timeout=${timeoutMs}`,
  "--reporter=junit",
  `--reporter-outfile=${report}`,
];

/** Runs a file in its own process on this machine; its temporary files go below `directory`, which is new. */
export async function runFile(
  processes: TestProcesses,
  file: string,
  directory: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Result[]> {
  const startedMs = performance.now();
  const report = `${directory}.xml`;
  mkdirSync(directory);
  const ended = await processes.run(
    [process.execPath, ...flagsOf(report, testTimeoutMs), `./${file}`],
    { ...childEnvironment(environment), SNAPMILL_CONFIG: "", TMPDIR: directory },
    processTimeoutMs,
  );
  if (processes.isInterrupted) return interrupted([file], directory);
  const reports = [...takeReport(report).values()];
  const outcome = reports.map((found) => found.outcome).reduce(sum, nothing);
  const tests = reports.flatMap((found) => found.tests);
  const failures = [...failuresOf(ended, outcome), ...(await takeLeftovers(directory))];
  const seconds = (performance.now() - startedMs) / 1000;
  return [resultOf({ file, outcome, seconds, tests, failures }, ended.said, "")];
}

/**
 * Runs files in one process in their own guest. What is left behind in the guest fails the last file, since they share the
 * guest. See test/guest/leftovers.ts.
 */
export async function runInGuest(
  processes: TestProcesses,
  files: readonly string[],
  directory: string,
  environment: Readonly<Record<string, string>>,
): Promise<Result[]> {
  mkdirSync(directory);
  const shared = join(directory, "report");
  mkdirSync(shared);
  const report = join(shared, "junit.xml");
  const flags = [...flagsOf(report, guestTestTimeoutMs), "--preload=./test/guest/leftovers.ts"];
  const command = [process.execPath, ...flags, ...files.map((file) => `./${file}`)];
  const ended = await processes.run(
    inGuest(command, { timeoutSeconds: processTimeoutMs / 1000, shares: [shared], environment }),
    { ...childEnvironment({}), SNAPMILL_CONFIG: "", TMPDIR: directory },
    processTimeoutMs + 30_000,
  );
  if (processes.isInterrupted) return interrupted(files, directory);
  const reports = takeReport(report);
  rmSync(shared, { recursive: true, force: true });
  const leftovers = await takeLeftovers(directory);
  const said = saidOf(ended.said, files);
  const isSilent = files.every((file) => !reports.has(file));
  const last = [...said.keys()].at(-1) ?? "none";
  const missing = isSilent
    ? `no result came out of the guest: it ${ended.trouble ?? "ended well"}; the last file begun was ${last}`
    : "no test was run";
  const verdicts = files.map((file): Verdict => {
    const report = reports.get(file);
    return {
      file,
      outcome: nothing,
      seconds: 0,
      tests: [],
      ...report,
      failures: report === undefined ? [missing] : [],
    };
  });
  const isAccountedFor = verdicts.some(({ outcome, failures }) => outcome.failed + failures.length > 0);
  const unaccounted = isAccountedFor || ended.trouble === undefined ? [] : [`the test process ${ended.trouble}`];
  return verdicts.map((verdict, index) => {
    const shared = index === files.length - 1 ? [...unaccounted, ...leftovers] : [];
    // Output that belongs to no file is shown once, with the first file.
    const words = said.get(verdict.file) ?? (index === 0 ? ended.said : "");
    return resultOf({ ...verdict, failures: [...verdict.failures, ...shared] }, words, " in the guest");
  });
}

/** A file that was running when the run was interrupted does not count, and leaves nothing. */
async function interrupted(files: readonly string[], directory: string): Promise<Result[]> {
  await clearAway(directory);
  return files.map((file) => ({ outcome: nothing, text: `      ${file}: interrupted`, tests: [] }));
}

/** The output under each file's heading; empty when there are no headings. */
function saidOf(said: string, files: readonly string[]): ReadonlyMap<string, string> {
  const parts = said.split(/^(\S+\.test\.ts):$/m);
  const found = new Map<string, string>();
  for (let index = 1; index < parts.length; index += 2) {
    const [file = "", words = ""] = [parts[index], parts[index + 1]];
    if (files.includes(file)) found.set(file, `${file}:${words}`);
  }
  return found;
}

function takeReport(path: string): ReadonlyMap<string, FileReport> {
  const found = existsSync(path) ? parseReport(readFileSync(path, "utf8")) : new Map<string, FileReport>();
  rmSync(path, { force: true });
  return found;
}

function failuresOf(ended: Ended, outcome: Outcome): string[] {
  if (ended.trouble !== undefined && outcome.failed === 0) return [`the test process ${ended.trouble}`];
  if (ended.trouble === undefined && outcome.passed + outcome.skipped.length === 0) return ["no test was run"];
  return [];
}

async function takeLeftovers(directory: string): Promise<string[]> {
  const found = await leftoversIn(directory);
  await clearAway(directory);
  return found.map((leftover) => `left behind: ${leftover}`);
}

function resultOf({ file, seconds, failures, ...verdict }: Verdict, said: string, where: string): Result {
  const outcome = failures.length === 0 ? verdict.outcome : sum(verdict.outcome, { ...nothing, failed: 1 });
  const isWell = outcome.failed === 0;
  const lines = [
    ...(isWell ? [] : [said.trimEnd()]),
    `${isWell ? " ok " : "FAIL"} ${file}: ${summaryLine(outcome)} (${seconds.toFixed(1)} s${where})`,
    ...failures.map((failure) => `     ${failure}`),
  ];
  return { outcome, text: lines.join("\n"), tests: verdict.tests };
}
