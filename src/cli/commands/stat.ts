// Room: cli. Owns `snapmill stat`.
import type { Command } from "commander";
import type { SnapshotKey } from "../../domain/identifiers.ts";
import type { Snapshot } from "../../domain/snapshots.ts";
import { formatFields, formatTime, labelTexts } from "../output/format.ts";
import { snapshotJson } from "../output/listings.ts";
import { printJson, printLines } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { fullName } from "../support/names.ts";
import { examples, type JsonOption, jsonOption, parseKey, type ScopeOption, scopeOption } from "../support/options.ts";

export function addStat(program: Command): void {
  program
    .command("stat")
    .description("show one snapshot")
    .argument("<name>", "its key or name, or an unambiguous prefix of a digest", parseKey)
    .addOption(jsonOption("one JSON object"))
    .addOption(scopeOption())
    .addHelpText("after", examples(["stat sha256:ab12cd34ef56", "the first digits of a digest are enough"]))
    .action(async (name: SnapshotKey, options: ScopeOption & JsonOption, command: Command) => {
      await using pool = await openPool(command);
      const snapshot = await pool.stat({ scope: options.scope, key: await fullName(pool, options.scope, name) });
      if (options.json) await printJson(snapshotJson(snapshot));
      else await printLines(formatFields(fieldsOf(snapshot)));
    });
}

const fieldsOf = (snapshot: Snapshot): (readonly [string, string | undefined])[] => [
  ["Name", snapshot.key],
  ["Kind", snapshot.kind],
  ["Parent", snapshot.parent],
  ["Scope", snapshot.scope],
  ["Created", formatTime(snapshot.createdAtMs)],
  ["Updated", formatTime(snapshot.updatedAtMs)],
  ...labelTexts(snapshot.labels).map((text) => ["Label", text] as const),
];
