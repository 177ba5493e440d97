// Room: test. Owns the test runner, tested with files that pass, fail, die and leave things behind.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { type Result, runFile, runInGuest } from "../../scripts/test-files.ts";
import { leftoversIn } from "../../scripts/test-leftovers.ts";
import { TestProcesses } from "../../scripts/test-process.ts";
import { nothing } from "../../scripts/test-report.ts";
import { setUpGuest, setUpTimeoutMs, whyNoGuest } from "../guest/guest.ts";
import { processesWith } from "../support/processes.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);
const root = join(import.meta.dir, "../..");
const reason = whyNoGuest();
let base: string;
let count = 0;

beforeAll(async () => {
  if (reason === undefined) await setUpGuest();
  base = mkdtempSync(join(tmpdir(), "runner-"));
}, setUpTimeoutMs);
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** A test file in `folder`, by its path from the root of the project. */
function testFile(folder: string, name: string, body: string): string {
  mkdirSync(folder, { recursive: true });
  const imports = `import { expect, test } from "bun:test"; import { tmpdir } from "node:os"; import * as fs from "node:fs";`;
  writeFileSync(join(folder, `${name}.test.ts`), `${imports}\n${body}\n`);
  return relative(root, join(folder, `${name}.test.ts`));
}

const fileOf = (body: string) => testFile(join(base, "files"), `file-${count++}`, body);

async function runOne(file: string, processes = new TestProcesses()): Promise<Result> {
  const [result] = await runFile(processes, file, join(base, `run-${count++}`));
  if (result === undefined) throw new Error("a file has a result");
  return result;
}

test("a file that passes is one whole line", async () => {
  const file = fileOf(`test("a", () => expect(1).toBe(1)); test.skipIf(true)("b (skipped: no moon)", () => {});`);
  const { outcome, text } = await runOne(file);
  expect(outcome).toEqual({ passed: 1, failed: 0, skipped: [{ title: "b", reason: "no moon" }] });
  expect(text).toMatch(/^ ok {2}\S+: 1 passed, 0 failed, 1 skipped \([\d.]+ s\)$/);
});

test("a file that fails is shown with what it said", async () => {
  const file = fileOf(`console.log("words before"); test("a", () => expect(1).toBe(2));`);
  const { outcome, text } = await runOne(file);
  expect(outcome).toEqual({ passed: 0, failed: 1, skipped: [] });
  expect(text).toContain("words before");
  expect(text).toContain("Expected: 2");
  expect(text).toContain(`FAIL ${file}: 0 passed, 1 failed`);
});

test("a file that dies, does not load, or has no tests has failed", async () => {
  const bodies = {
    "was killed by SIGKILL": `test("a", () => process.kill(process.pid, "SIGKILL"));`,
    "exited with status 1": `throw new Error("does not load");`,
    "no test was run": "expect(1).toBe(1);",
  };
  for (const [words, body] of Object.entries(bodies)) {
    const { outcome, text } = await runOne(fileOf(body));
    expect({ words, failed: outcome.failed }).toEqual({ words, failed: 1 });
    if (words !== "no test was run") expect(text).toContain(`the test process ${words}`);
  }
});

test("what a file leaves behind fails it, and is cleared away", async () => {
  const file = fileOf(`test("a", () => {
    fs.writeFileSync(tmpdir() + "/stray", "");
    Bun.spawn(["sleep", "1000"], { stdio: ["ignore", "ignore", "ignore"] }).unref();
  });`);
  const { outcome, text } = await runOne(file);
  expect(outcome).toEqual({ passed: 1, failed: 1, skipped: [] });
  expect(text).toMatch(/left behind: process \d+: sleep 1000/);
  expect(text).toMatch(/left behind: temporary directory \S+\/stray/);
  const directory = join(base, `run-${count - 1}`);
  expect(readdirSync(directory)).toEqual([]);
});

test("an interrupted run ends its processes, takes down what they made, and counts for nothing", async () => {
  const mark = join(base, "begun");
  const file = fileOf(`test("a", async () => {
    const disk = tmpdir() + "/disk";
    fs.writeFileSync(disk, ""); fs.truncateSync(disk, 1 << 24); fs.mkdirSync(tmpdir() + "/mounted");
    const run = (...argv) => expect(Bun.spawnSync(argv).exitCode).toBe(0);
    run("mkfs.ext4", "-q", disk);
    run("mount", "-o", "loop", disk, tmpdir() + "/mounted");
    Bun.spawn(["sleep", "1000"], { cwd: tmpdir() + "/mounted", stdio: ["ignore", "ignore", "ignore"] }).unref();
    fs.writeFileSync("${mark}", "");
    await Bun.sleep(50_000);
  });`);
  const processes = new TestProcesses();
  const run = runOne(file, processes);
  await until(
    "the test has begun",
    () => readdirSync(base),
    (names) => names.includes("begun"),
  );
  processes.interrupt();
  expect(await run).toEqual({ outcome: nothing, text: `      ${file}: interrupted`, tests: [] });
  expect(processesWith(file)).toEqual([]);
  expect(await leftoversIn(join(base, `run-${count - 1}`))).toEqual([]);
});

const unlessNoGuest = test.skipIf(reason !== undefined);
const because = reason === undefined ? "" : ` (skipped: ${reason})`;

unlessNoGuest(
  `files in one guest are told apart, and what they leave there fails them${because}`,
  async () => {
    // Below the project, which the guest shares; tests are looked for in test/ alone.
    const folder = mkdtempSync(join(root, ".tools", "guest-suites-"));
    try {
      const well = testFile(folder, "well", `test("a", () => expect(process.env.GREETING).toBe("hello"));`);
      const broken = testFile(folder, "broken", `throw new Error("does not load");`);
      const leaves = testFile(
        folder,
        "leaves",
        `test("a", () => {
          fs.writeFileSync(tmpdir() + "/disk", ""); fs.truncateSync(tmpdir() + "/disk", 1 << 20);
          const loop = Bun.spawnSync(["losetup", "--find", "--show", tmpdir() + "/disk"]).stdout.toString().trim();
          const made = Bun.spawnSync(["dmsetup", "create", "left", "--table", "0 8 linear " + loop + " 0"]);
          expect(made.exitCode).toBe(0);
        });`,
      );
      const environment = { TMPDIR: "/tmp/in-guest", GREETING: "hello" };
      const files = [well, broken, leaves];
      const results = await runInGuest(new TestProcesses(), files, join(base, `run-${count++}`), environment);
      expect(results.map(({ outcome }) => [outcome.passed, outcome.failed])).toEqual([
        [1, 0],
        [0, 1],
        [1, 1],
      ]);
      expect(results[1]?.text).toContain("no test was run");
      expect(results[2]?.text).toContain("left behind in the guest: mapped device left");
      expect(results[2]?.text).toMatch(/left behind in the guest: loop device loop\d+ on \/tmp\/in-guest\/disk/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  400_000,
);
