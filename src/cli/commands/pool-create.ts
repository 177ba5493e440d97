// Room: cli. Owns `snapmill pool create`.
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Command } from "commander";
import { type Config, paths } from "../../config.ts";
import { failedPrecondition } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import { createThinPool } from "../../drivers/devicemapper/pool/create.ts";
import type { PoolDefinition } from "../../drivers/devicemapper/pool/definition.ts";
import type { PlannedStorage, PoolPlan } from "../../drivers/devicemapper/pool/plan.ts";
import { createDmControl } from "../../drivers/open.ts";
import { readPool } from "../../metadata/pool.ts";
import { readStore } from "../../service/store.ts";
import { prepareStateDirectory } from "../../supervisor/directories.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { formatFields } from "../output/format.ts";
import { printJson, printLines, say } from "../output/output.ts";
import { definitionFields } from "../output/pool-fields.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { lockPool, parseBytes, parsePoolName, parseWhenFull, poolConfig } from "../support/pool-options.ts";

interface CreateOptions extends JsonOption {
  readonly data?: string;
  readonly metadata?: string;
  readonly loopback?: string;
  readonly size?: number;
  readonly metadataSize?: number;
  readonly blockSize?: number;
  readonly lowWater?: number;
  readonly whenFull?: "error" | "queue";
  readonly force?: true;
  readonly adopt?: true;
}

export function addPoolCreate(pool: Command): void {
  pool
    .command("create")
    .description("make a thin-pool of two block devices, or of two sparse files")
    .argument("[name]", "of the pool; default: --pool", parsePoolName)
    .option("--data <device>", "the block device for the content of snapshots")
    .option(
      "--metadata <device>",
      "the block device for the pool's own records; 48 bytes for each block of data, doubled",
    )
    .option("--loopback <dir>", "two sparse files in this directory instead, on loop devices")
    .option("--size <size>", "of the data, with --loopback (SNAPMILL_POOL_SIZE; default 20GiB)", parseBytes)
    .option("--metadata-size <size>", "with --loopback; default: enough for the data", parseBytes)
    .option("--block-size <size>", "what is taken and copied at once: 64KiB (the default) to 1GiB", parseBytes)
    .option("--low-water <size>", "free data below which the kernel raises an event; default: a tenth", parseBytes)
    .option("--when-full <what>", "error: a write fails at once (the default); queue: it waits a minute", parseWhenFull)
    .option("--adopt", "take the thin-pool that is on the devices, with its content")
    .option("--force", "overwrite whatever is on the devices")
    .addOption(jsonOption("what was made, as one JSON object"))
    .addHelpText("after", whatHappens)
    .addHelpText(
      "after",
      examples(
        ["pool create --loopback /var/lib/snapmill-pool --size 20GiB", "in files: to try it, and for small machines"],
        ["pool create fast --data /dev/vg/data --metadata /dev/vg/meta", "on devices of its own: for production"],
      ),
    )
    .action(async (name: PoolName | undefined, options: CreateOptions, command: Command) => {
      const config = poolConfig(command, name);
      const definition = await createPool(config, planOf(command, config, options));
      if (options.json) await printJson(definition);
      else await printLines(formatFields(definitionFields(definition)));
    });
}

const whatHappens = `
The pool is loaded by 'snapmill up --pool NAME' whenever that starts, also after a reboot, and taken off when it ends.
--force and --adopt say what becomes of devices that are not empty; without them, those are refused.`;

/** What contradicts itself is a usage error. */
function planOf(command: Command, config: Config, options: CreateOptions): PoolPlan {
  if (options.force && options.adopt) command.error("--force and --adopt contradict each other");
  return {
    pool: config.pool,
    storage: storageOf(command, config, options),
    blockBytes: options.blockSize,
    lowWaterBytes: options.lowWater,
    whenFull: options.whenFull,
    existing: (options.force && "wipe") || (options.adopt && "adopt") || "refuse",
  };
}

function storageOf(command: Command, config: Config, options: CreateOptions): PlannedStorage {
  const { data, metadata, loopback, size, metadataSize } = options;
  if (loopback !== undefined && data === undefined && metadata === undefined) {
    const dataBytes = size ?? config.poolSizeBytes;
    return { kind: "loopback", directory: resolve(loopback), dataBytes, metadataBytes: metadataSize };
  }
  if (loopback !== undefined || data === undefined || metadata === undefined) {
    command.error("say what the pool is made of: --data and --metadata, or --loopback");
  }
  if (size !== undefined || metadataSize !== undefined) {
    command.error("--size and --metadata-size go with --loopback: devices have their own");
  }
  return { kind: "devices", dataDevice: data, metadataDevice: metadata };
}

/** Makes the pool and leaves it unloaded; when that fails, no directory stays that was made for it. */
async function createPool(config: Config, plan: PoolPlan): Promise<PoolDefinition> {
  const poolDir = paths.poolDir(config);
  requireNoOther(config);
  const made = makePoolDirectory(config, poolDir);
  using interruption = catchInterruption();
  try {
    using _lock = lockPool(config);
    await using control = createDmControl(config.dmControl);
    const { signal } = interruption;
    const pool = await createThinPool({ control, poolDir, plan, onNotice: (text) => say(`snapmill: ${text}`), signal });
    const obstacle = await pool.close();
    if (obstacle !== undefined) say(`snapmill: ${obstacle}`);
    return pool.definition;
  } catch (error) {
    if (made !== undefined) removeEmpty(poolDir, made);
    throw error;
  }
}

/** The uppermost directory that had to be made; undefined when all were there. */
function makePoolDirectory(config: Config, poolDir: string): string | undefined {
  const isNew = !existsSync(config.stateDir);
  prepareStateDirectory(config, (sentence) => say(`snapmill: ${sentence}`));
  const made = mkdirSync(poolDir, { recursive: true, mode: 0o700 });
  return isNew ? config.stateDir : made;
}

function requireNoOther(config: Config): void {
  const driver = existsSync(paths.database(config)) ? readStore(config, readPool)?.driver : undefined;
  if (driver === undefined || driver === "devmapper") return;
  throw failedPrecondition(`pool ${config.pool} is one of the driver ${driver}: choose another name`);
}

function removeEmpty(directory: string, uppermost: string): void {
  for (let current = directory; current.startsWith(uppermost); current = dirname(current)) {
    try {
      rmdirSync(current);
    } catch (error) {
      if (isErrno(error, "ENOTEMPTY", "ENOENT", "EEXIST")) return;
      throw error;
    }
  }
}
