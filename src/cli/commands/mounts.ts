// Room: cli. Owns `snapmill mounts`.
import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { SnapshotKey } from "../../domain/identifiers.ts";
import { LocalService } from "../../service/local-service.ts";
import { fullName } from "../../service/names.ts";
import { mounts } from "../../service/snapshots.ts";
import { mountListing } from "../output/listings.ts";
import { notice, printList, say } from "../output/output.ts";
import {
  configOf,
  examples,
  type JsonOption,
  jsonOption,
  parseKey,
  type ScopeOption,
  scopeOption,
} from "../support/options.ts";

export function addMounts(program: Command): void {
  program
    .command("mounts")
    .description("show how to mount an active or view snapshot")
    .argument("<key>", "its key", parseKey)
    .addOption(jsonOption("one JSON object per mount"))
    .addOption(scopeOption())
    .addHelpText("after", examples(["mounts build", "type, device and options"]))
    .action(async (key: SnapshotKey, options: ScopeOption & JsonOption, command: Command) => {
      await using service = new LocalService(configOf(command), notice);
      const found = mounts(service, { scope: options.scope, key: fullName(service, options.scope, key) }).mounts;
      await printList(found, mountListing, options);
      const missing = found.find(({ source }) => !existsSync(source));
      if (missing !== undefined) say(`snapmill: note: ${missing.source} exists only while 'snapmill up' runs`);
    });
}
