// Room: bench. Owns the count of the objects that a process holds. Loaded into a program by bun's --preload, it writes a
// file on SIGUSR2.
import { heapStats } from "bun:jsc";
import { renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Of what is left after a full garbage collection. */
export interface Held {
  readonly heapBytes: number;
  readonly functions: number;
  readonly abortSignals: number;
}

export const heldPath = (pid: number): string => join(tmpdir(), `snapmill-bench-held-${pid}`);

process.on("SIGUSR2", () => {
  Bun.gc(true);
  const { heapSize, objectTypeCounts } = heapStats();
  const count = (type: string) => objectTypeCounts[type] ?? 0;
  const held: Held = { heapBytes: heapSize, functions: count("Function"), abortSignals: count("AbortSignal") };
  const path = heldPath(process.pid);
  writeFileSync(`${path}.new`, JSON.stringify(held));
  renameSync(`${path}.new`, path);
});
