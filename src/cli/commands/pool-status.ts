// Room: cli. Owns `snapmill pool status`.
import type { Command } from "commander";
import type { PoolName } from "../../domain/identifiers.ts";
import type { ThinPoolStatus } from "../../service/pool-status.ts";
import { formatFields, formatShare } from "../output/format.ts";
import { printJson, printLines } from "../output/output.ts";
import { definitionFields } from "../output/pool-fields.ts";
import { openPool } from "../pool/open.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { parsePoolName } from "../support/pool-options.ts";

export function addPoolStatus(pool: Command): void {
  pool
    .command("status")
    .description("show how full a thin-pool is, its mode, its owner, and what is wrong with it")
    .argument("[name]", "the pool's name (default: --pool)", parsePoolName)
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", "\nAsks the kernel; if the pool is not loaded, reads its metadata device. Changes nothing.")
    .addHelpText(
      "after",
      examples(["pool status", "at a glance"], ["pool status fast --json | jq .data.usedBytes", "one figure"]),
    )
    .action(async (name: PoolName | undefined, options: JsonOption, command: Command) => {
      await using pool = await openPool(command, name);
      const status = await pool.poolStatus({});
      if (options.json) await printJson(status);
      else await printLines(formatFields(fieldsOf(status)));
    });
}

function fieldsOf({ definition, devices, ...look }: ThinPoolStatus): (readonly [string, string | undefined])[] {
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
    ["Owner", owner === null ? "none yet" : `number ${owner.owner}, take-over ${owner.takeOver}`],
    ["Devices", counts.length === 0 ? "none" : counts.join(", ")],
  ];
}

const modeTexts: Readonly<Record<NonNullable<ThinPoolStatus["mode"]>, string>> = {
  rw: "in service",
  ro: "read-only",
  out_of_data_space: "full: writes fail until there is free space",
  failed: "failed",
};
