// Room: scripts. Owns the search for what a test left behind: processes, mounts, devices and files.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../src/system/process/commands.ts";
import { loopsBackedBelow, mappedDevicesBelow, mountsBelow, processesOf } from "../test/support/residue.ts";

/** How long the processes that a test has ended may take to be gone. */
const settleMs = 3_000;

/**
 * What is left of the tests whose temporary directories are below `directory`, one sentence each: processes with it in
 * their environment, mounts, mapped devices and loop devices over its files, files.
 */
export async function leftoversIn(directory: string): Promise<string[]> {
  const untilMs = performance.now() + settleMs;
  for (;;) {
    const left = look(directory);
    if (left.length === 0 || performance.now() > untilMs) return left;
    await Bun.sleep(100);
  }
}

const look = (directory: string): string[] => [
  ...processesOf(directory),
  ...mountsBelow(directory),
  ...mappedDevicesBelow(directory),
  ...loopsBackedBelow(directory),
  ...readdirSync(directory).map((name) => `temporary directory ${join(directory, name)}`),
];

/**
 * Takes down what is left, from the top, so that the next test is not blamed and an interrupted run leaves the machine as
 * it was. What cannot be taken down stays, with its files.
 */
export async function clearAway(directory: string): Promise<void> {
  for (let round = 0; round < 5 && look(directory).length > 0; round++) {
    if (round > 0) await Bun.sleep(200);
    await takeDown(directory);
  }
}

async function takeDown(directory: string): Promise<void> {
  for (const line of processesOf(directory)) end(Number(wordsIn(line)[1]?.replace(":", "")));
  // A later mount may lie on top of an earlier one: it is unmounted first.
  for (const line of mountsBelow(directory).toReversed()) {
    // Writers to a frozen file system cannot end, and keep its mount busy.
    await attempt("fsfreeze", "--unfreeze", wordsIn(line)[5]);
    await attempt("umount", wordsIn(line)[5]);
  }
  for (const line of mappedDevicesBelow(directory)) await attempt("dmsetup", "remove", wordsIn(line)[2]);
  for (const line of loopsBackedBelow(directory))
    await attempt("losetup", "--detach", `/dev/${wordsIn(line)[2] ?? ""}`);
  if (mountsBelow(directory).length > 0) return;
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
}

const wordsIn = (line: string): string[] => line.split(" ");

function end(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

async function attempt(file: string, ...args: readonly (string | undefined)[]): Promise<void> {
  try {
    const given = args.filter((arg) => arg !== undefined);
    await runCommand(file, given, { timeoutMs: 10_000 });
  } catch {
    // The next round tries again; what stays is reported by the next look.
  }
}
