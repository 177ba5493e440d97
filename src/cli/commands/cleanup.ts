// Room: cli. Owns `snapmill cleanup`.
import type { Command } from "commander";
import { plural } from "../output/format.ts";
import { printJson, printLines } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addCleanup(program: Command): void {
  program
    .command("cleanup")
    .description("remove what removals and interrupted unpacks have left behind; retries removals that were given up")
    .summary("remove what could not be removed before")
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", examples(["cleanup", "after a busy snapshot was unmounted"]))
    .action(async (options: JsonOption, command: Command) => {
      await using pool = await openPool(command);
      const removed = await pool.cleanup({});
      const left = (await Array.fromAsync(pool.listRemovals({ states: ["pending", "failed"] }))).map(
        ({ device }) => device,
      );
      if (options.json) await printJson({ ...removed, pendingRemovals: left.length });
      else
        await printLines([sentence(removed), ...left.slice(0, shownDevices).map(leftSentence), ...more(left.length)]);
    });
}

const shownDevices = 20;

const sentence = ({ removedDevices, removedSnapshots }: Readonly<Record<string, number>>): string =>
  `removed ${plural(removedDevices ?? 0, "device")} and ${plural(removedSnapshots ?? 0, "snapshot")}`;

const leftSentence = (device: string): string => `${device} could not be removed yet; snapmill will retry`;

const more = (count: number): string[] =>
  count > shownDevices ? [`${plural(count - shownDevices, "more device")} as well`] : [];
