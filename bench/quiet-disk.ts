// Room: bench. Owns the wait for a disk that has nothing to do, so that no measurement pays for what came before it.
import { readFileSync } from "node:fs";
import { pause } from "../src/domain/timers.ts";

const lookEveryMs = 100;
const quietLooks = 5;
const dirtyKib = 4 * 1024;
const patienceMs = 120_000;

function isQuiet(): boolean {
  const memory = readFileSync("/proc/meminfo", "utf8");
  const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(memory)?.[1] ?? 0);
  // Field 12 of a device: requests that are under way (Documentation/admin-guide/iostats.rst).
  const underWay = readFileSync("/proc/diskstats", "utf8")
    .trim()
    .split("\n")
    .map((line) => Number(line.trim().split(/\s+/)[11]));
  return kib("Dirty") + kib("Writeback") < dirtyKib && underWay.every((requests) => requests === 0);
}

/** Throws the reason of `signal`; an error when the disk is busy for two minutes, which would spoil the measurement. */
export async function untilDiskIsQuiet(signal: AbortSignal): Promise<void> {
  const untilMs = performance.now() + patienceMs;
  for (let looks = 0; looks < quietLooks; looks = isQuiet() ? looks + 1 : 0) {
    if (performance.now() > untilMs) throw new Error("something else keeps this machine's disks busy: try again later");
    signal.throwIfAborted();
    await pause(lookEveryMs, signal);
  }
}
