// Room: test. Owns the view of running processes.
import { readFileSync } from "node:fs";
import { until } from "./until.ts";

/** Whether the process runs: a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return false;
  }
}

/** The other processes whose command line contains `text`. */
export function processesWith(text: string): number[] {
  const pids = [...new Bun.Glob("[0-9]*").scanSync({ cwd: "/proc", onlyFiles: false })].map(Number);
  return pids.filter((pid) => pid !== process.pid && isAlive(pid) && commandLineOf(pid).includes(text));
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** Waits until a process whose command line contains `text` is blocked in the kernel, where no signal reaches it. */
export async function untilInKernel(text: string): Promise<void> {
  const look = () => processesWith(text).map((pid) => readFileSync(`/proc/${pid}/stat`, "utf8"));
  await until(`"${text}" is blocked in the kernel`, look, (stats) => stats.some((stat) => /\) D /.test(stat)));
}
