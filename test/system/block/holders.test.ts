import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, readlink, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeUse, type Holder } from "../../../src/domain/holders.ts";
import { holdersIn } from "../../../src/system/block/holder-facts.ts";
import { scanHolders, scanLimits } from "../../../src/system/block/holder-scan.ts";
import { holdersOf, holdersOfEach, watchedHolders } from "../../../src/system/block/holders.ts";
import { attachLoop, detachLoop } from "../../../src/system/block/loop.ts";
import { runCommand } from "../../../src/system/process/commands.ts";
import { letGoOfOthers } from "../../support/namespaces.ts";
import { until } from "../../support/until.ts";

setDefaultTimeout(60_000);
const mebibyte = 2 ** 20;
let dir: string;
let serial = 0;

beforeAll(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), "snapmill-holders-")));
});
afterAll(() => rm(dir, { recursive: true }));

async function loopDevice() {
  const file = join(dir, `${serial++}.img`);
  await writeFile(file, "");
  await truncate(file, 4 * mebibyte);
  return { file, ...(await attachLoop(file)) };
}

/** A process that runs the shell code, and then waits for the end of its input, under the name "holder of it". */
async function holding(code: string, command: readonly string[] = []) {
  const script = `${code}; echo held; while read -r line; do :; done`;
  const child = Bun.spawn([...command, "sh", "-ec", script, "holder\tof it"], { stdin: "pipe" });
  const { value } = await child.stdout.getReader().read();
  expect(Buffer.from(value ?? []).toString()).toBe("held\n");
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      await child.stdin.end();
      expect(await child.exited).toBe(0);
    },
  };
}

const now = async (path: string) => holdersIn(await scanHolders(), path);
const nobody = { holders: [], more: 0, isComplete: true };

test("a process that has the device open is named, since when it runs, and what it is", async () => {
  await using loop = await loopDevice();
  expect(await now(loop.path)).toEqual(nobody);
  {
    const beforeMs = Date.now();
    await using holder = await holding(`exec 3<${loop.path}`);
    const { holders } = await now(loop.path);
    const process = {
      pid: holder.pid,
      command: expect.stringContaining("sh -ec exec 3<"),
      startedAtMs: expect.any(Number),
    };
    expect(holders).toEqual([{ kind: "open", process }]);
    const [found] = holders;
    const startedAtMs = found?.kind === "open" ? found.process.startedAtMs : 0;
    expect(Math.abs(startedAtMs - beforeMs)).toBeLessThan(60_000);
    expect(describeUse({ holders, more: 0, isComplete: true })).toMatch(
      new RegExp(`^in use: open in process ${holder.pid} \\(sh .*\\); end that process$`),
    );
    await expect(detachLoop(loop.path, loop.file)).rejects.toMatchObject({ code: "failed_precondition" });
  }
  expect(await now(loop.path)).toEqual(nobody);
});

test("a command line has its control characters escaped and its length bounded", async () => {
  await using loop = await loopDevice();
  await using _holder = await holding(`: '\u001b[31m'; exec 3<${loop.path}; : ${"x".repeat(5000)}`);
  const { holders } = await now(loop.path);
  const text = describeUse({ holders, more: 0, isComplete: true });
  expect(text).toContain(": '\\u001b[31m'");
  expect(text.length).toBeLessThan(300);
});

test("a mount is found in the own mount namespace and in any other, with a process of that one", async () => {
  await using loop = await loopDevice();
  await runCommand("mkfs.ext4", ["-q", loop.path]);
  const mountPoint = join(dir, "mount point");
  await mkdir(mountPoint);
  const ownNamespace = Number(/\d+/.exec(await readlink("/proc/self/ns/mnt"))?.[0]);
  await runCommand("mount", [loop.path, mountPoint]);
  const own: Holder = { kind: "mount", mountPoint, namespace: ownNamespace, isOwnNamespace: true };
  const alone = await now(loop.path);
  await runCommand("umount", [mountPoint]);
  expect(alone.holders.filter((holder) => holder.kind === "mount" && holder.isOwnNamespace)).toEqual([own]);
  expect(describeUse({ holders: [own], more: 0, isComplete: true })).toBe(
    `in use: mounted at ${mountPoint}; unmount it`,
  );
  {
    const unshare = ["unshare", "--mount", "--propagation", "private"];
    const code = `${letGoOfOthers(dir)} mount ${loop.path} '${mountPoint}'`;
    await using holder = await holding(code, unshare);
    const { holders } = await now(loop.path);
    expect(holders).toMatchObject([{ kind: "mount", mountPoint, isOwnNamespace: false, process: { pid: holder.pid } }]);
    const [found] = holders;
    expect(found?.kind === "mount" && found.namespace !== ownNamespace).toBe(true);
    expect(describeUse({ holders, more: 0, isComplete: true })).toMatch(
      new RegExp(`^in use: mounted at ${mountPoint} by process ${holder.pid} \\(.*\\) in another mount namespace; `),
    );
  }
  expect(await now(loop.path)).toEqual(nobody);
});

test("a loop device on it is found, though no process has it open", async () => {
  await using loop = await loopDevice();
  {
    await using upper = await attachLoop(loop.path);
    const found = await now(loop.path);
    expect(found.holders).toEqual([{ kind: "device", device: upper.path, madeBy: "loop" }]);
    expect(describeUse(found)).toBe(`in use: part of device ${upper.path}; take that device down`);
  }
  expect(await now(loop.path)).toEqual(nobody);
});

test("who asks for several devices, or soon again, has one search for them, and a new one for who is not in it", async () => {
  await using one = await loopDevice();
  await using other = await loopDevice();
  expect(await holdersOf(one.path)).toEqual(nobody);
  await using holder = await holding(`exec 3<${one.path}`);
  const [first, second, none] = await holdersOfEach([one.path, other.path, join(dir, "none")]);
  expect(first?.holders).toMatchObject([{ kind: "open", process: { pid: holder.pid } }]);
  expect(second?.holders).toEqual([]);
  expect(none?.holders).toEqual([]);
  {
    await using _late = await holding(`exec 3<${other.path}`);
    expect((await holdersOf(other.path)).holders).toHaveLength(1);
  }
  // Who has ended since the search is not named.
  expect((await holdersOf(other.path)).holders).toEqual([]);
});

test("who watches devices has no second search within two seconds, also where nobody is found, and one afterwards", async () => {
  await using loop = await loopDevice();
  expect(await watchedHolders([loop.path])).toEqual([nobody]);
  await using holder = await holding(`exec 3<${loop.path}`);
  expect(await watchedHolders([loop.path])).toEqual([nobody]);
  const [found] = await until(
    "the next search",
    () => watchedHolders([loop.path]),
    ([each]) => each?.holders.length === 1,
  );
  expect(found?.holders).toMatchObject([{ kind: "open", process: { pid: holder.pid } }]);
});

test("of a device that very many hold, twenty are named and the others counted", async () => {
  await using loop = await loopDevice();
  const scan = await scanHolders();
  const deviceNumber = `7:${loop.path.slice("/dev/loop".length)}`;
  const mounts = Array.from({ length: 500 }, (_, index) => ({
    deviceNumber,
    mountPoint: `/mnt/${index}`,
    namespace: index,
    pid: process.pid,
  }));
  const { holders, more } = holdersIn({ ...scan, mounts }, loop.path);
  expect([holders.length, more]).toEqual([20, 480]);
  expect(describeUse({ holders, more, isComplete: true })).toContain(", and 497 more; ");
});

test("a search ends at each of its limits, and says that it did", async () => {
  await using loop = await loopDevice();
  await using _holder = await holding(`exec 3<${loop.path}`);
  for (const limit of [{ timeMs: 0 }, { processes: 1 }, { descriptors: 1 }]) {
    const scan = await scanHolders({ ...scanLimits, ...limit });
    expect(holdersIn(scan, loop.path)).toEqual({ holders: [], more: 0, isComplete: false });
  }
  expect(describeUse({ holders: [], more: 0, isComplete: false })).toContain("took too long");
  expect(describeUse(nobody)).toContain("no process here");
});

test("a message names three holders, and how many more there are", () => {
  const holders = [1, 2, 3, 4, 5].map(
    (pid): Holder => ({ kind: "open", process: { pid, command: "cat", startedAtMs: 0 } }),
  );
  const named = "open in process 1 (cat), open in process 2 (cat), open in process 3 (cat), and 2 more";
  expect(describeUse({ holders, more: 0, isComplete: true })).toBe(`in use: ${named}; end that process`);
});
