// Room: cli. Owns `snapmill pool create`.
import { resolve } from "node:path";
import type { Command } from "commander";
import type { Config } from "../../config.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import type { PoolPlan } from "../../service/create-pool.ts";
import { formatFields } from "../output/format.ts";
import { printJson, printLines } from "../output/output.ts";
import { definitionFields } from "../output/pool-fields.ts";
import { openHere } from "../pool/open.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { parseBytes, parsePoolName, parseWhenFull } from "../support/pool-options.ts";

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
    .description("create a thin-pool on two block devices, or in two sparse files")
    .argument("[name]", "the pool's name (default: --pool)", parsePoolName)
    .option("--data <device>", "the block device for the content of snapshots")
    .option("--metadata <device>", "the block device for the pool's metadata; 48 bytes per block of data, doubled")
    .option("--loopback <dir>", "use two sparse files in this directory instead, on loop devices")
    .option("--size <size>", "size of the data, with --loopback (SNAPMILL_POOL_SIZE; default 20GiB)", parseBytes)
    .option("--metadata-size <size>", "with --loopback (default: enough for the data)", parseBytes)
    .option("--block-size <size>", "the unit of allocation and copying: 64KiB (the default) to 1GiB", parseBytes)
    .option("--low-water <size>", "free data below which the kernel raises an event (default: a tenth)", parseBytes)
    .option("--when-full <what>", "error: a write fails at once (the default); queue: it waits a minute", parseWhenFull)
    .option("--adopt", "use the thin-pool that is on the devices, with its content")
    .option("--force", "overwrite what is on the devices")
    .addOption(jsonOption("the new pool as one JSON object"))
    .addHelpText("after", whatHappens)
    .addHelpText(
      "after",
      examples(
        ["pool create --loopback /var/lib/snapmill-pool --size 20GiB", "in files: for trials and small machines"],
        ["pool create fast --data /dev/vg/data --metadata /dev/vg/meta", "on dedicated devices: for production"],
      ),
    )
    .action(async (name: PoolName | undefined, options: CreateOptions, command: Command) => {
      await using service = await openHere(command, name);
      const plan = planOf(command, service.config, options);
      const { createPool } = await import("../../service/create-pool.ts");
      using interruption = catchInterruption();
      const definition = await createPool(service, plan, interruption);
      if (options.json) await printJson(definition);
      else await printLines(formatFields(definitionFields(definition)));
    });
}

const whatHappens = `
'snapmill up --pool NAME' loads the pool when it starts, also after a reboot, and unloads it when it ends.
Devices that are not empty are refused without --force or --adopt.`;

/** Contradictory options are a usage error. */
function planOf(command: Command, config: Config, options: CreateOptions): PoolPlan {
  if (options.force && options.adopt) command.error("--force and --adopt contradict each other");
  return {
    storage: storageOf(command, config, options),
    blockBytes: options.blockSize,
    lowWaterBytes: options.lowWater,
    whenFull: options.whenFull,
    existing: (options.force && "wipe") || (options.adopt && "adopt") || "refuse",
  };
}

function storageOf(command: Command, config: Config, options: CreateOptions): PoolPlan["storage"] {
  const { data, metadata, loopback, size, metadataSize } = options;
  if (loopback !== undefined && data === undefined && metadata === undefined) {
    const dataBytes = size ?? config.poolSizeBytes;
    return { kind: "loopback", directory: resolve(loopback), dataBytes, metadataBytes: metadataSize };
  }
  if (loopback !== undefined || data === undefined || metadata === undefined) {
    command.error("give the storage of the pool: --data and --metadata, or --loopback");
  }
  if (size !== undefined || metadataSize !== undefined) {
    command.error("--size and --metadata-size require --loopback: devices have fixed sizes");
  }
  return { kind: "devices", dataDevice: data, metadataDevice: metadata };
}
