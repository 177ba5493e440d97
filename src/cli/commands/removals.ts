// Room: cli. Owns `snapmill removals`: the list of removals, and whether they are tried.
import type { Command } from "commander";
import { formatSize } from "../../domain/units.ts";
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
  readonly all?: true;
  readonly dryRun?: true;
}

const addSelection = (command: Command): Command =>
  command
    .argument("[name...]", "devices, or keys of the snapshots that were on them")
    .option("--matching <text>", "those whose last error contains this text")
    .option("--all", "all that are pending or failed")
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
      const { dryRun: isDryRun, matching, all } = options;
      const { devices } = await pool.retryRemovals({ names: [...names], matching, all, isDryRun });
      await report(command, devices, isDryRun ? "would be tried at once" : "is tried at once");
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
        const { dryRun: isDryRun, matching, all, reason } = options;
        const { devices } = await pool.discardRemovals({ names: [...names], matching, all, reason, isDryRun });
        await report(command, devices, isDryRun ? "would stay in the pool" : "stays in the pool");
      },
    );
}

const shownDevices = 20;

async function report(command: Command, devices: readonly string[], what: string): Promise<void> {
  if (wantsJson(command)) return await printJson({ devices });
  await printLines([
    ...devices.slice(0, shownDevices).map((device) => `${device} ${what}`),
    ...(devices.length > shownDevices ? [`${plural(devices.length - shownDevices, "more device")} as well`] : []),
    ...(devices.length === 0 ? ["no removal matches"] : []),
  ]);
}
