// Room: cli. Owns `snapmill usage`.
import type { Command } from "commander";
import type { SnapshotKey } from "../domain/identifiers.ts";
import { formatSize } from "../domain/units.ts";
import { formatFields } from "./format.ts";
import { configOf, examples, type JsonOption, jsonOption, parseKey, type ScopeOption, scopeOption } from "./options.ts";
import { printJson, printLines } from "./output.ts";
import { usageOf } from "./pool-space.ts";
import { fullName, openStore } from "./store.ts";

export function addUsage(program: Command): void {
  program
    .command("usage")
    .description("show how much of the pool a snapshot holds of its own, its parent's share not counted")
    .summary("show how much of the pool a snapshot holds")
    .argument("<name>", "its key or name, or the unambiguous beginning of a digest", parseKey)
    .addOption(jsonOption("one JSON object"))
    .addOption(scopeOption())
    .addHelpText("after", examples(["usage sha256:ab12cd34ef56", "the first digits of a digest will do"]))
    .action(async (name: SnapshotKey, options: ScopeOption & JsonOption, command: Command) => {
      const config = configOf(command);
      using database = openStore(config);
      const usage = await usageOf(config, database, options.scope, fullName(database, options.scope, name));
      if (options.json) await printJson(usage);
      // Block devices do not count inodes: a line that always says 0 would mislead.
      else await printLines(formatFields([["Size", formatSize(usage.sizeBytes)]]));
    });
}
