// Room: service. Owns the making of a thin-pool.
import { existsSync, mkdirSync } from "node:fs";
import { z } from "zod";
import { type Config, paths } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { createThinPool } from "../drivers/devicemapper/pool/create.ts";
import { poolDefinition } from "../drivers/devicemapper/pool/definition.ts";
import { createDmControl } from "../drivers/open.ts";
import { readPool } from "../metadata/pool.ts";
import { prepareStateDirectory } from "../supervisor/directories.ts";
import { removeEmptyDirectories } from "../system/file/directories.ts";
import type { LocalService } from "./local-service.ts";
import { operation } from "./operation.ts";
import { lockPool } from "./pool-lock.ts";
import type { Ending } from "./service.ts";
import { readStoreIfAny } from "./store.ts";

const bytes = z.number().int().positive();

/** What the pool is made of: two block devices, or two sparse files in a directory, on loop devices. */
const storage = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("devices"), dataDevice: z.string(), metadataDevice: z.string() }),
  /** `metadataBytes`: default, enough for the data. */
  z.object({ kind: z.literal("loopback"), directory: z.string(), dataBytes: bytes, metadataBytes: bytes.optional() }),
]);

const plan = z.object({
  storage,
  /** What is taken and copied at once. Default: 64 KiB; with `adopt`, what the pool has. */
  blockBytes: bytes.optional(),
  /** Free data below which the kernel raises an event. Default: a tenth. */
  lowWaterBytes: bytes.optional(),
  /** Of a write to a full pool: it fails at once (the default), or waits a minute. */
  whenFull: poolDefinition.shape.whenFull.optional(),
  /** What is on the devices already is refused, overwritten, or taken as the pool that it is. */
  existing: z.enum(["refuse", "wipe", "adopt"]),
});
export type PoolPlan = z.input<typeof plan>;

/** Makes the pool and leaves it unloaded; when that fails, no directory stays that was made for it. */
export const createPool = operation(
  { input: plan, output: poolDefinition },
  async ({ config, notice }: LocalService, given, { signal }: Ending = {}) => {
    const poolDir = paths.poolDir(config);
    requireNoOther(config);
    const made = makePoolDirectory(config, poolDir, notice);
    try {
      using _lock = lockPool(config);
      await using control = createDmControl(config.dmControl);
      const request = { control, poolDir, plan: { pool: config.pool, ...given }, onNotice: notice, signal };
      const pool = await createThinPool(request);
      const obstacle = await pool.close();
      if (obstacle !== undefined) notice(obstacle);
      return pool.definition;
    } catch (error) {
      if (made !== undefined) await removeEmptyDirectories(poolDir, made);
      throw error;
    }
  },
);

/** The uppermost directory that had to be made; undefined when all were there. */
function makePoolDirectory(config: Config, poolDir: string, notice: LocalService["notice"]): string | undefined {
  const isNew = !existsSync(config.stateDir);
  prepareStateDirectory(config, notice);
  const made = mkdirSync(poolDir, { recursive: true, mode: 0o700 });
  return isNew ? config.stateDir : made;
}

function requireNoOther(config: Config): void {
  const driver = readStoreIfAny(config, readPool)?.driver;
  if (driver === undefined || driver === "devmapper") return;
  throw failedPrecondition(`pool ${config.pool} is one of the driver ${driver}: choose another name`);
}
