// Room: cli. Owns `snapmill pool grow`.
import type { Command } from "commander";
import type { PoolName } from "../../domain/identifiers.ts";
import { formatSize } from "../../domain/units.ts";
import { formatFields } from "../output/format.ts";
import { printJson, printLines } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import type { Pool } from "../pool/pool.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { parseBytes, parsePoolName } from "../support/pool-options.ts";

interface GrowOptions extends JsonOption {
  readonly dataSize?: number;
  readonly metadataSize?: number;
}

export function addPoolGrow(pool: Command): void {
  pool
    .command("grow")
    .description("make a thin-pool larger, even while it is in use; its snapshots do not change")
    .summary("make a thin-pool larger, even while it is in use")
    .argument("[name]", "the pool's name (default: --pool)", parsePoolName)
    .option("--data-size <size>", "the new size of the data, for a pool in files", parseBytes)
    .option("--metadata-size <size>", "the new size of the metadata, for a pool in files", parseBytes)
    .addOption(jsonOption("the sizes as one JSON object"))
    .addHelpText(
      "after",
      "\nA pool on devices grows to their full size: extend the devices first, for example with lvextend.",
    )
    .addHelpText(
      "after",
      examples(
        ["pool grow --data-size 40GiB", "a pool in files"],
        ["pool grow fast", "a pool on devices, after 'lvextend --size +100G vg/data'"],
      ),
    )
    .action(async (name: PoolName | undefined, options: GrowOptions, command: Command) => {
      await using pool = await openPool(command, name);
      using interruption = catchInterruption();
      const sizes = { dataBytes: options.dataSize, metadataBytes: options.metadataSize };
      const grown = await pool.growPool(sizes, interruption);
      if (options.json) await printJson(grown);
      else await printLines(formatFields(fieldsOf(grown)));
    });
}

const fieldsOf = ({ dataBytes, metadataBytes }: Awaited<ReturnType<Pool["growPool"]>>) =>
  [
    ["Data size", formatSize(dataBytes)],
    ["Metadata size", formatSize(metadataBytes)],
  ] as const;
