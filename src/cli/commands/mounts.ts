// Room: cli. Owns `snapmill mounts`.
import type { Command } from "commander";
import type { SnapshotKey } from "../../domain/identifiers.ts";
import { mountListing } from "../output/listings.ts";
import { printList, say } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { fullName } from "../support/names.ts";
import { examples, type JsonOption, jsonOption, parseKey, type ScopeOption, scopeOption } from "../support/options.ts";

export function addMounts(program: Command): void {
  program
    .command("mounts")
    .description("show how to mount an active or view snapshot")
    .argument("<key>", "its key", parseKey)
    .addOption(jsonOption("one JSON object per mount"))
    .addOption(scopeOption())
    .addHelpText("after", examples(["mounts build", "type, device and options"]))
    .action(async (key: SnapshotKey, options: ScopeOption & JsonOption, command: Command) => {
      await using pool = await openPool(command);
      const { scope } = options;
      const found = (await pool.mounts({ scope, key: await fullName(pool, scope, key) })).mounts;
      await printList(found, mountListing, options);
      const missing = pool.missing(found);
      if (missing !== undefined) say(`snapmill: note: ${missing.source} exists only while 'snapmill up' runs`);
    });
}
