// Room: cli. Owns `snapmill usage`.
import type { Command } from "commander";
import type { SnapshotKey } from "../../domain/identifiers.ts";
import { formatSize } from "../../domain/units.ts";
import { formatFields } from "../output/format.ts";
import { printJson, printLines } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { fullName } from "../support/names.ts";
import { examples, type JsonOption, jsonOption, parseKey, type ScopeOption, scopeOption } from "../support/options.ts";

export function addUsage(program: Command): void {
  program
    .command("usage")
    .description("show how much of the pool a snapshot uses, its parent's share not counted")
    .summary("show how much of the pool a snapshot uses")
    .argument("<name>", "its key or name, or an unambiguous prefix of a digest", parseKey)
    .addOption(jsonOption("one JSON object"))
    .addOption(scopeOption())
    .addHelpText(
      "after",
      "\nThis is what the snapshot's device maps beyond its parent's. What overwrites the parent's blocks is not counted.",
    )
    .addHelpText("after", examples(["usage sha256:ab12cd34ef56", "the first digits of a digest are enough"]))
    .action(async (name: SnapshotKey, options: ScopeOption & JsonOption, command: Command) => {
      await using pool = await openPool(command);
      const held = await pool.usage({ scope: options.scope, key: await fullName(pool, options.scope, name) });
      if (options.json) await printJson(held);
      // Block devices do not count inodes: a line that always says 0 would mislead.
      else await printLines(formatFields([["Size", formatSize(held.sizeBytes)]]));
    });
}
