// Room: cli. Owns `snapmill removals`: the list of removals, and whether they are tried.
import { type Command, Option } from "commander";
import { formatSize } from "../../domain/units.ts";
import type { Output } from "../../service/api.ts";
import { type RemovalState, removalStates } from "../../service/removal-filter.ts";
import type { Removal } from "../../service/removals.ts";
import { formatTime, plural } from "../output/format.ts";
import { heldByText } from "../output/held-by.ts";
import { type Listing, printJson, printLines, printList } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { wantsJson } from "../support/image-options.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addRemovals(program: Command): void {
  const command = program
    .command("removals")
    .description(
      "list devices that are still to be deleted although their snapshots are removed; retry or discard them",
    )
    .summary("list, retry and discard pending removals")
    .addOption(jsonOption("one JSON object per removal"))
    .addHelpText("after", whatStatesMean)
    .addHelpText(
      "after",
      examples(
        ["removals", "what is still to be deleted, and why it is not"],
        ["removals --json | jq 'select(.state==\"failed\")'", "only what was given up"],
        ["removals retry --all", "try again now, also what was given up"],
      ),
    )
    .action(async (options: JsonOption, command: Command) => {
      await using pool = await openPool(command);
      await printList(pool.listRemovals({}), removalListing, options);
    });
  command.helpCommand(false);
  addRetry(command);
  addDiscard(command);
}

const whatStatesMean = `
A removal is pending until its device can be deleted: it is tried with growing pauses (SNAPMILL_REMOVE_FIRST_PAUSE,
SNAPMILL_REMOVE_LONGEST_PAUSE). After SNAPMILL_REMOVE_ATTEMPTS attempts it counts as failed, and begins anew with the next
start. FREES is an estimate of the space that it will free. HELD BY names who has the device mounted or open now, where an
attempt has failed.`;

const timeOrNone = (ms: number | null): string => (ms === null ? "-" : formatTime(ms));

const removalListing: Listing<Removal> = {
  columns: [
    { title: "DEVICE" },
    { title: "KEY" },
    { title: "STATE" },
    { title: "SINCE" },
    { title: "TRIES", align: "right" },
    { title: "NEXT" },
    { title: "FREES", align: "right" },
    { title: "HELD BY" },
    { title: "REASON" },
  ],
  row: ({ device, key, state, createdAtMs, attempts, nextTryAtMs, bytes, heldBy, lastError, discardReason }) => [
    device,
    key ?? "-",
    state,
    formatTime(createdAtMs),
    String(attempts),
    timeOrNone(nextTryAtMs),
    bytes === null ? "-" : formatSize(bytes),
    heldByText(heldBy),
    discardReason ?? lastError ?? "",
  ],
  json: (removal) => removal,
};

interface SelectionOptions {
  readonly matching?: string;
  readonly trouble?: string;
  readonly find?: string;
  readonly holder?: string;
  readonly state?: readonly RemovalState[];
  readonly ifSet?: string;
  readonly all?: true;
  readonly dryRun?: true;
}

const selectionOf = ({ dryRun: isDryRun, state: states, ...rest }: SelectionOptions, names: readonly string[]) => {
  const { matching, trouble, find, holder, ifSet, all } = rest;
  return { names: [...names], matching, trouble, find, holder, states, ifSet, all, isDryRun };
};

const addSelection = (command: Command): Command =>
  command
    .argument("[name...]", "devices, or keys of the snapshots that were on them")
    .option("--matching <text>", "those whose last error contains this text")
    .option("--trouble <text>", "those whose last error says this of any device, as the dashboard groups them")
    .option("--find <text>", "those whose device or key contains this text")
    .option("--holder <holder>", "those that this one holds now: process-PID, namespace-NUMBER, device-PATH or nobody")
    .addOption(new Option("--state <state...>", "those in one of these states").choices(removalStates))
    .option("--all", "all that are pending or failed")
    .option("--if-set <hash>", "only if they are still the same as when --dry-run --json told this 'set'")
    .option("--dry-run", "only show which")
    .addOption(jsonOption("one JSON object"));

function addRetry(parent: Command): void {
  addSelection(parent.command("retry"))
    .description("try removals at once, from the first attempt on, also those that were given up or discarded")
    .summary("try removals at once")
    .addHelpText(
      "after",
      examples(
        ["removals retry default-snap-7", "one, by its device"],
        ["removals retry --matching 'is in use' --dry-run", "show which have this error"],
      ),
    )
    .action(async (names: readonly string[], options: SelectionOptions, command: Command) => {
      await using pool = await openPool(command);
      const changed = await pool.retryRemovals(selectionOf(options, names));
      await report(command, changed, options.dryRun ? "would be tried at once" : "is tried at once");
    });
}

function addDiscard(parent: Command): void {
  addSelection(parent.command("discard"))
    .description(
      "give removals up for good: their devices stay in the pool, and 'removals' and 'doctor' show them until they are retried",
    )
    .summary("give removals up for good")
    .requiredOption("--reason <text>", "why; kept with the removal")
    .addHelpText("after", examples(["removals discard default-snap-7 --reason 'evidence, see ticket 4711'", "one"]))
    .action(
      async (names: readonly string[], options: SelectionOptions & { readonly reason: string }, command: Command) => {
        await using pool = await openPool(command);
        const { reason } = options;
        const changed = await pool.discardRemovals({ ...selectionOf(options, names), reason });
        await report(command, changed, options.dryRun ? "would stay in the pool" : "stays in the pool");
      },
    );
}

const shownDevices = 20;

type Changed = Output<"retryRemovals">;

async function report(command: Command, changed: Changed, what: string): Promise<void> {
  if (wantsJson(command)) return await printJson(changed);
  const { devices } = changed;
  await printLines([
    ...devices.slice(0, shownDevices).map((device) => `${device} ${what}`),
    ...(devices.length > shownDevices ? [`${plural(devices.length - shownDevices, "more device")} as well`] : []),
    ...(devices.length === 0 ? ["no removal matches"] : []),
  ]);
}
