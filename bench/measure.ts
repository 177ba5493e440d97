// Room: bench. Owns percentiles, tables and the fresh disk of every measurement.
import { mkdirSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { type Config, readConfig } from "../src/config.ts";
import { attachLoop } from "../src/system/block/loop.ts";
import { mountAt, unmount } from "../src/system/mount/mounts.ts";
import { runCommand } from "../src/system/process/commands.ts";

export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** Milliseconds that each of `count` runs of `body` takes, one after the other. */
export async function timeEach(count: number, body: (index: number) => unknown): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt = performance.now();
    await body(index);
    samples.push(performance.now() - startedAt);
  }
  return samples;
}

/** Runs `body` for every index below `count`, `width` of them at a time; milliseconds in all. */
export async function timeAll(
  count: number,
  width: number,
  body: (index: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  const worker = async () => {
    while (next < count) await body(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return performance.now() - startedAt;
}

export function printTable(title: string, header: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(`\n### ${title}\n`);
  console.log(`| ${header.join(" | ")} |`);
  console.log(`|${header.map(() => "---").join("|")}|`);
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
}

export const ms = (value: number): string => `${value.toFixed(2)} ms`;

export interface Disk extends AsyncDisposable {
  readonly directory: string;
}

/**
 * A new ext4 of `sizeGib` on a sparse file: rates on a file system fall many times over where much was just deleted, so
 * no measurement starts from what another one left.
 */
export async function freshDisk(sizeGib: number): Promise<Disk> {
  await using scope = new AsyncDisposableStack();
  const scratch = await mkdtemp("/var/tmp/snapmill-bench-");
  scope.defer(() => rmSync(scratch, { recursive: true, force: true }));
  const image = join(scratch, "disk.img");
  const directory = join(scratch, "disk");
  mkdirSync(directory);
  const patience = { timeoutMs: 60_000 };
  await runCommand("truncate", ["-s", `${sizeGib}G`, image], patience);
  await runCommand("mkfs.ext4", ["-q", "-F", "-E", "nodiscard", image], patience);
  const loop = scope.use(await attachLoop(image, { directIo: true }));
  await mountAt(loop.path, directory, "ext4", []);
  scope.defer(() => {
    // SQLite keeps a closed database's file open until its statements have been collected.
    Bun.gc(true);
    return unmount(directory);
  });
  const kept = scope.move();
  return { directory, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The configuration of a snapmill on `disk`, with nothing from the environment. */
export const benchConfig = (disk: Disk, settings: Record<string, string> = {}): Config =>
  readConfig(
    {},
    {
      SNAPMILL_STATE_DIR: join(disk.directory, "state"),
      SNAPMILL_RUN_DIR: join("/run/snapmill-bench"),
      SNAPMILL_POOL_SIZE: "8GiB",
      SNAPMILL_DEVICE_SIZE: "4GiB",
      SNAPMILL_LOG_LEVEL: "warn",
      ...settings,
    },
  );
