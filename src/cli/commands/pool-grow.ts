// Room: cli. Owns `snapmill pool grow`.
import type { Command } from "commander";
import { type Config, paths } from "../../config.ts";
import { notFound } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import { formatSize } from "../../domain/units.ts";
import { readDefinition } from "../../drivers/devicemapper/pool/definition-file.ts";
import { spaceInPool } from "../../drivers/devicemapper/pool/geometry.ts";
import { loadThinPool } from "../../drivers/devicemapper/pool/thin-pool.ts";
import { createDmControl } from "../../drivers/open.ts";
import type { Payload, Result } from "../../jobs/contract.ts";
import { withClient } from "../../service/running-client.ts";
import { findRunning } from "../../supervisor/running.ts";
import { formatFields } from "../output/format.ts";
import { notice, printJson, printLines, say } from "../output/output.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { lockPool, parseBytes, parsePoolName, poolConfig } from "../support/pool-options.ts";

interface GrowOptions extends JsonOption {
  readonly dataSize?: number;
  readonly metadataSize?: number;
}

type Sizes = Pick<Payload<"grow-pool">, "dataBytes" | "metadataBytes">;
type Grown = Result<"grow-pool">;

export function addPoolGrow(pool: Command): void {
  pool
    .command("grow")
    .description("make a thin-pool larger, also while it is used; the snapshots on it are untouched")
    .summary("make a thin-pool larger, also while it is used")
    .argument("[name]", "of the pool; default: --pool", parsePoolName)
    .option("--data-size <size>", "the new size of the data, of a pool in files", parseBytes)
    .option("--metadata-size <size>", "the new size of the metadata, of a pool in files", parseBytes)
    .addOption(jsonOption("the sizes as one JSON object"))
    .addHelpText("after", "\nA pool on devices takes all that they have: grow those first (lvextend, say).")
    .addHelpText(
      "after",
      examples(
        ["pool grow --data-size 40GiB", "a pool in files"],
        ["pool grow fast", "a pool on devices, after 'lvextend --size +100G vg/data'"],
      ),
    )
    .action(async (name: PoolName | undefined, options: GrowOptions, command: Command) => {
      const grown = await growPool(poolConfig(command, name), {
        dataBytes: options.dataSize,
        metadataBytes: options.metadataSize,
      });
      if (options.json) await printJson(grown);
      else await printLines(formatFields(fieldsOf(grown)));
    });
}

const fieldsOf = ({ dataBytes, metadataBytes }: Grown) =>
  [
    ["Data size", formatSize(dataBytes)],
    ["Metadata size", formatSize(metadataBytes)],
  ] as const;

/** By the pool's worker, in turn with all else that it does, when there is one; else by this process. */
async function growPool(config: Config, request: Sizes): Promise<Grown> {
  const running = await findRunning(config);
  if (running?.pool === config.pool)
    return await withClient(config, notice, (client) => client.call("grow-pool", request));
  const poolDir = paths.poolDir(config);
  const definition = await readDefinition(poolDir);
  if (definition === undefined) throw notFound(`there is no thin-pool ${config.pool} in ${config.stateDir}`);
  using _interruption = catchInterruption();
  using _lock = lockPool(config);
  await using control = createDmControl(config.dmControl);
  const pool = await loadThinPool({ control, definition, poolDir, toGrow: true });
  try {
    await pool.grow(request);
    const { data, metadata } = spaceInPool(pool.definition, await pool.status());
    return { dataBytes: data.totalBytes, metadataBytes: metadata.totalBytes };
  } finally {
    // Loaded before, it is somebody's who was killed, or who has the pool from another state directory.
    const obstacle = pool.wasLoaded ? undefined : await pool.close();
    if (obstacle !== undefined) say(`snapmill: ${obstacle}`);
  }
}
