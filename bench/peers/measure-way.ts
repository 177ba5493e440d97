// Room: bench. Owns the measurement of one unpack: from the start of its command to the end of the flush.
import { runCommand } from "../../src/system/process/commands.ts";
import { MemoryPeak } from "../memory-peak.ts";
import { untilDiskIsQuiet } from "../quiet-disk.ts";
import type { PeerImage } from "./images.ts";
import type { Account, Way } from "./way.ts";

export interface Measured {
  readonly ms: number;
  /** Of `ms`, the flush after the command. */
  readonly flushMs: number;
  readonly account: Account | undefined;
}

/** One unpack more, which is not timed: to look at memory takes processor time. */
export async function memoryOfWay(way: Way, image: PeerImage, directory: string): Promise<MemoryPeak> {
  await using open = await way.open(directory, image);
  using peak = new MemoryPeak();
  await open.unpack();
  return peak;
}

const flushTimeoutMs = 300_000;

export async function measureWay(
  way: Way,
  image: PeerImage,
  directory: string,
  signal: AbortSignal,
): Promise<Measured> {
  await using open = await way.open(directory, image);
  await runCommand("sync", [], { timeoutMs: flushTimeoutMs, signal });
  await untilDiskIsQuiet(signal);
  const startedAt = performance.now();
  await open.unpack();
  const unpackedAt = performance.now();
  for (const path of open.written) await runCommand("sync", ["-f", path], { timeoutMs: flushTimeoutMs, signal });
  const endedAt = performance.now();
  return { ms: endedAt - startedAt, flushMs: endedAt - unpackedAt, account: await open.account?.() };
}
