// Room: cli. Owns `snapmill cleanup`.
import type { Command } from "commander";
import { pendingRemovals } from "../../metadata/pending-removals.ts";
import { withClient } from "../../service/running-client.ts";
import { readStore } from "../../service/store.ts";
import { plural } from "../output/format.ts";
import { notice, printJson, printLines } from "../output/output.ts";
import { configOf, examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addCleanup(program: Command): void {
  program
    .command("cleanup")
    .description(
      "remove now what removals and dead unpacks have left; has the removals of devices that were given up tried again",
    )
    .summary("remove now what could not be removed before")
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", examples(["cleanup", "after what was in use has been unmounted"]))
    .action(async (options: JsonOption, command: Command) => {
      const config = configOf(command);
      const removed = await withClient(config, notice, (client) => client.call("cleanup", {}, { deadlineMs }));
      const left = readStore(config, pendingRemovals).map(({ device }) => device);
      if (options.json) await printJson({ ...removed, pendingRemovals: left.length });
      else
        await printLines([sentence(removed), ...left.slice(0, shownDevices).map(leftSentence), ...more(left.length)]);
    });
}

/** It lasts half a minute at most, and may have to wait for its turn. */
const deadlineMs = 10 * 60_000;
const shownDevices = 20;

const sentence = ({ removedDevices, removedSnapshots }: Readonly<Record<string, number>>): string =>
  `removed ${plural(removedDevices ?? 0, "device")} and ${plural(removedSnapshots ?? 0, "snapshot")}`;

const leftSentence = (device: string): string => `${device} is still to be removed, which goes on being tried`;

const more = (count: number): string[] =>
  count > shownDevices ? [`${plural(count - shownDevices, "more device")} as well`] : [];
