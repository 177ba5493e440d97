// Room: cli. Owns `snapmill pool create`.
import { resolve } from "node:path";
import type { Command } from "commander";
import type { Config } from "../../config.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import { createPool, type PoolPlan } from "../../service/create-pool.ts";
import { LocalService } from "../../service/local-service.ts";
import { formatFields } from "../output/format.ts";
import { notice, printJson, printLines } from "../output/output.ts";
import { definitionFields } from "../output/pool-fields.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { parseBytes, parsePoolName, parseWhenFull, poolConfig } from "../support/pool-options.ts";

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
    .option("--force", "overwrite what is on the devices")
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
      const plan = planOf(command, config, options);
      await using service = new LocalService(config, notice);
      using interruption = catchInterruption();
      const definition = await createPool(service, plan, interruption);
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
    command.error("say what the pool is made of: --data and --metadata, or --loopback");
  }
  if (size !== undefined || metadataSize !== undefined) {
    command.error("--size and --metadata-size go with --loopback: devices have their own");
  }
  return { kind: "devices", dataDevice: data, metadataDevice: metadata };
}
