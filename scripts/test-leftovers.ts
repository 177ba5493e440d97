// Room: scripts. Owns the question what a test left behind: processes, mounts, devices and files of its own.
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { loopsBackedBelow, mappedDevicesBelow, mountsBelow, processesOf } from "../test/support/residue.ts";

/** How long what a test has ended may take to be gone. */
const settleMs = 3_000;

/**
 * What is left of the tests whose temporary directories are below `directory`, in words: processes that still have it
 * in their environment, mounts, mapped devices and loop devices over its files, files.
 */
export async function leftoversIn(directory: string): Promise<string[]> {
  const untilMs = performance.now() + settleMs;
  for (;;) {
    const left = [
      ...processesOf(directory),
      ...mountsBelow(directory),
      ...mappedDevicesBelow(directory),
      ...loopsBackedBelow(directory),
      ...readdirSync(directory).map((name) => `temporary directory ${join(directory, name)}`),
    ];
    if (left.length === 0 || performance.now() > untilMs) return left;
    await Bun.sleep(100);
  }
}

/** Ends the processes and deletes the files, so that the next test is not blamed. Mounts and devices stay. */
export function clearAway(directory: string): void {
  for (const line of processesOf(directory)) {
    const pid = Number(/^process (\d+):/.exec(line)?.[1]);
    if (pid > 0) process.kill(pid, "SIGKILL");
  }
  if (mountsBelow(directory).length > 0) return;
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
}
