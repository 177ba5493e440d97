// Room: scripts. Owns the run of the tests: one file after the other, each in a process and a directory of its own.
// What a file says is shown when it fails.
//
//   npm test                        everything
//   npm test -- test/jobs tidy      the files whose path contains one of the words
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../src/config.ts";
import { describeExit, type RunningProcess, startProcess } from "../src/system/processes.ts";
import { mountsBelow } from "../test/support/residue.ts";
import { clearAway, leftoversIn } from "./test-leftovers.ts";
import { nothing, type Outcome, parseReport, sum, summaryLine } from "./test-report.ts";

const root = join(import.meta.dir, "..");
/** For a test that says nothing itself; a file as a whole has longer. */
const testTimeoutMs = 60_000;
const fileTimeoutMs = 12 * 60_000;

const tmpfsMagic = 0x01021994;

/** Where the tests' files go: a disk, so that pools behave as they do in earnest. */
function temporaryBase(): string {
  const given = childEnvironment({})["TMPDIR"];
  if (given !== undefined && given !== "") return given;
  return statfsSync("/tmp").type === tmpfsMagic ? "/var/tmp" : "/tmp";
}

let running: RunningProcess | undefined;
let isInterrupted = false;

async function main(words: readonly string[]): Promise<number> {
  const all = [...new Bun.Glob("test/**/*.test.ts").scanSync(root)].sort();
  const files = words.length === 0 ? all : all.filter((file) => words.some((word) => file.includes(word)));
  if (files.length === 0) {
    console.error(`no test file's path contains ${words.join(" or ")}`);
    return 1;
  }
  // A short name: UNIX sockets lie below it.
  const directory = mkdtempSync(join(temporaryBase(), "sm-"));
  let outcome = nothing;
  try {
    for (const [index, file] of files.entries()) {
      if (isInterrupted) break;
      const own = join(directory, String(index));
      mkdirSync(own);
      outcome = sum(outcome, await runFile(file, own));
    }
  } finally {
    if (mountsBelow(directory).length === 0) rmSync(directory, { recursive: true, force: true });
  }
  for (const { title, reason } of outcome.skipped) console.log(`skipped: ${title}: ${reason}`);
  if (isInterrupted) console.log("interrupted: not every file was run");
  console.log(summaryLine(outcome));
  return outcome.failed > 0 || outcome.passed === 0 || isInterrupted ? 1 : 0;
}

async function runFile(file: string, directory: string): Promise<Outcome> {
  const startedMs = performance.now();
  const report = `${directory}.xml`;
  const flags = ["--only-failures", `--timeout=${testTimeoutMs}`, "--reporter=junit", `--reporter-outfile=${report}`];
  running = startProcess([process.execPath, "test", ...flags, `./${file}`], {
    environment: { ...childEnvironment({}), TMPDIR: directory },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const timer = setTimeout(() => running?.kill("SIGKILL"), fileTimeoutMs);
  const said = Promise.all([new Response(running.stdout).text(), new Response(running.stderr).text()]);
  const exit = await running.exited;
  clearTimeout(timer);

  let outcome = existsSync(report) ? parseReport(readFileSync(report, "utf8")) : nothing;
  rmSync(report, { force: true });
  const failures: string[] = [];
  const isWell = exit.kind === "exited" && exit.code === 0;
  if (!isWell && outcome.failed === 0) failures.push(`the test process ${describeExit(exit)}`);
  if (isWell && outcome.passed + outcome.skipped.length === 0) failures.push("no test was run");
  for (const leftover of await leftoversIn(directory)) failures.push(`left behind: ${leftover}`);
  clearAway(directory);
  if (failures.length > 0) outcome = sum(outcome, { ...nothing, failed: 1 });

  if (outcome.failed > 0) console.log((await said).join(""));
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`${outcome.failed > 0 ? "FAIL" : " ok "} ${file}: ${summaryLine(outcome)} (${seconds} s)`);
  for (const failure of failures) console.log(`     ${failure}`);
  return outcome;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    isInterrupted = true;
    void running?.stop({ graceMs: 2_000 });
  });
}

process.exit(await main(process.argv.slice(2)));
