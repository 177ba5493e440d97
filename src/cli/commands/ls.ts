// Room: cli. Owns `snapmill ls`.
import type { Command } from "commander";
import { compileFilters } from "../../domain/filters.ts";
import { snapshotListing } from "../output/listings.ts";
import { printList } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { accept, examples, type JsonOption, jsonOption, type ScopeOption, scopeOption } from "../support/options.ts";

const syntax = `
A filter is FIELD, FIELD==VALUE, FIELD!=VALUE or FIELD~=REGULAR-EXPRESSION, or several of these joined by commas, which must
all match. The fields are name, parent, kind and labels.NAME. Of several filters, one must match.`;

export function addLs(program: Command): void {
  program
    .command("ls")
    .description("list snapshots")
    .argument("[filter...]", "which snapshots (default: all)", parseFilters)
    .option("--full", "show digests in full")
    .option("-l, --labels", "show labels")
    .addOption(jsonOption("one JSON object per snapshot"))
    .addOption(scopeOption())
    .addHelpText("after", syntax)
    .addHelpText(
      "after",
      examples(
        ["ls", "all snapshots"],
        ["ls kind==active", "writable snapshots"],
        ["ls 'kind==committed,labels.team==edge'", "both must match"],
        ["ls --json | jq -r .key", "names only"],
      ),
    )
    .action(async (filters: readonly string[], options: LsOptions, command: Command) => {
      await using pool = await openPool(command);
      const snapshots = pool.listSnapshots({ scope: options.scope, filters });
      await printList(snapshots, snapshotListing(options), options);
    });
}

type LsOptions = ScopeOption & JsonOption & { readonly full?: true; readonly labels?: true };

/** Checked here, so that an invalid filter is a usage error. */
function parseFilters(text: string, previous: readonly string[] | undefined): readonly string[] {
  accept((filter: string) => compileFilters([filter]))(text);
  return [...(previous ?? []), text];
}
