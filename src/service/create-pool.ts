// Room: service. Owns the creation of a thin-pool.
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

/** The pool's storage: two block devices, or two sparse files in a directory, on loop devices. */
const storage = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("devices"), dataDevice: z.string(), metadataDevice: z.string() }),
  /** `metadataBytes`: default, enough for the data. */
  z.object({ kind: z.literal("loopback"), directory: z.string(), dataBytes: bytes, metadataBytes: bytes.optional() }),
]);

const plan = z.object({
  storage,
  /** The unit of allocation and copying. Default: 64 KiB; with `adopt`, that of the existing pool. */
  blockBytes: bytes.optional(),
  /** Free data below which the kernel raises an event. Default: a tenth. */
  lowWaterBytes: bytes.optional(),
  /** What a write to a full pool does: it fails at once (the default), or waits a minute. */
  whenFull: poolDefinition.shape.whenFull.optional(),
  /**
   * What to do with existing content on the devices: refuse it, overwrite it, or use it as the thin-pool that it is.
   */
  existing: z.enum(["refuse", "wipe", "adopt"]),
});
export type PoolPlan = z.input<typeof plan>;

/** Creates the pool and leaves it unloaded. On failure, removes the directories that it has created. */
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

/** Returns the topmost directory that it had to create; undefined if all existed. */
function makePoolDirectory(config: Config, poolDir: string, notice: LocalService["notice"]): string | undefined {
  const isNew = !existsSync(config.stateDir);
  prepareStateDirectory(config, notice);
  const made = mkdirSync(poolDir, { recursive: true, mode: 0o700 });
  return isNew ? config.stateDir : made;
}

function requireNoOther(config: Config): void {
  const driver = readStoreIfAny(config, readPool)?.driver;
  if (driver === undefined || driver === "devmapper") return;
  throw failedPrecondition(`pool ${config.pool} uses the driver ${driver}: choose another name`);
}
