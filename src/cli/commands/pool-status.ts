// Room: cli. Owns `snapmill pool status`.
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { type Config, paths } from "../../config.ts";
import { failedPrecondition, notFound } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import type { PoolDefinition } from "../../drivers/devicemapper/pool/definition.ts";
import { readDefinition } from "../../drivers/devicemapper/pool/definition-file.ts";
import { lookAtPool, type PoolLook } from "../../drivers/devicemapper/pool/status.ts";
import { createDmControl } from "../../drivers/open.ts";
import { countDevicesByState } from "../../metadata/devices.ts";
import { readPool } from "../../metadata/pool.ts";
import { readStore } from "../../service/store.ts";
import { formatFields, formatShare } from "../output/format.ts";
import { printJson, printLines } from "../output/output.ts";
import { definitionFields } from "../output/pool-fields.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { parsePoolName, poolConfig } from "../support/pool-options.ts";

export function addPoolStatus(pool: Command): void {
  pool
    .command("status")
    .description("show how full a thin-pool is, its mode, whose it is, and what is wrong with it")
    .argument("[name]", "of the pool; default: --pool", parsePoolName)
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", "\nAsks the kernel, or the metadata device of a pool that is not loaded; disturbs nobody.")
    .addHelpText(
      "after",
      examples(["pool status", "at a glance"], ["pool status fast --json | jq .data.usedBytes", "one figure"]),
    )
    .action(async (name: PoolName | undefined, options: JsonOption, command: Command) => {
      const status = await readStatus(poolConfig(command, name));
      if (options.json) await printJson(status);
      else await printLines(formatFields(fieldsOf(status)));
    });
}

interface Status extends PoolLook {
  readonly definition: PoolDefinition;
  /** How many devices the database has in each state; null: there is no database yet. */
  readonly devices: ReturnType<typeof countDevicesByState> | null;
}

async function readStatus(config: Config): Promise<Status> {
  const poolDir = paths.poolDir(config);
  const definition = await readDefinition(poolDir);
  if (definition === undefined) {
    if (isReflink(config)) {
      throw failedPrecondition(
        `pool ${config.pool} is one of the driver reflink: 'snapmill status' shows how full it is`,
      );
    }
    throw notFound(`there is no thin-pool ${config.pool} in ${config.stateDir}: make one with 'snapmill pool create'`);
  }
  await using control = createDmControl(config.dmControl);
  return {
    ...(await lookAtPool(control, definition)),
    definition,
    devices: existsSync(paths.database(config)) ? readStore(config, countDevicesByState) : null,
  };
}

const isReflink = (config: Config): boolean =>
  existsSync(paths.database(config)) && readStore(config, readPool)?.driver === "reflink";

function fieldsOf({ definition, devices, ...look }: Status): (readonly [string, string | undefined])[] {
  const { owner } = look;
  const counts = Object.entries(devices ?? {}).map(([state, count]) => `${count} ${state}`);
  return [
    ...definitionFields(definition),
    ["Loaded", look.isLoaded ? `yes: /dev/mapper/${look.deviceName}` : "no: 'snapmill up' loads it"],
    ["Mode", look.mode === null ? undefined : modeTexts[look.mode]],
    ["Needs check", look.needsCheck ? "yes" : "no"],
    ["Trouble", look.trouble ?? undefined],
    ["Data", formatShare(look.data.usedBytes, look.data.totalBytes)],
    ["Metadata", formatShare(look.metadata.usedBytes, look.metadata.totalBytes)],
    ["Transaction", String(look.transactionId)],
    ["Owner", owner === null ? "nobody yet" : `number ${owner.owner}, take-over ${owner.takeOver}`],
    ["Devices", counts.length === 0 ? "none" : counts.join(", ")],
  ];
}

const modeTexts: Readonly<Record<NonNullable<PoolLook["mode"]>, string>> = {
  rw: "in service",
  ro: "read-only",
  out_of_data_space: "full: writes fail until there is room",
  failed: "failed",
};
