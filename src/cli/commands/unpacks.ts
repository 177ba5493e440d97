// Room: cli. Owns `snapmill unpacks`: those that run, the last ones that have ended, and their cancellation.
import type { Command } from "commander";
import { failedPrecondition } from "../../domain/errors.ts";
import { type OperationId, operationId } from "../../domain/identifiers.ts";
import { formatDuration, formatSize } from "../../domain/units.ts";
import { layersDone, readBytes, wantedBytes } from "../../domain/unpack-progress.ts";
import type { UnpackAccount } from "../../service/unpack-accounts.ts";
import { type Listing, printJson, printLines, printList } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import type { Pool } from "../pool/pool.ts";
import { wantsJson } from "../support/image-options.ts";
import { accept, examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addUnpacks(program: Command): void {
  const command = program
    .command("unpacks")
    .description(
      "list the unpacks that run, then the last ones that have ended, the latest first; cancel one that runs",
    )
    .summary("list unpacks, cancel one that runs")
    .addOption(jsonOption("one JSON object per unpack, with the times of each layer's stages"))
    .addHelpText(
      "after",
      examples(
        ["unpacks", "what runs, and what came of the last ones"],
        ["unpacks --json | jq 'select(.state==\"failed\").failure'", "why they failed"],
        [
          "unpacks cancel op-0c6f7f0e-8c1d-4a43-b0c5-1a6c1c9f1d6e",
          "the unpack ends as soon as it can, and is not resumed",
        ],
      ),
    )
    .action(async (options: JsonOption, command: Command) => {
      await using pool = await openPool(command);
      await printList(allOf(pool), listing, options);
    });
  command.helpCommand(false);
  addCancel(command);
}

/** One that ends meanwhile is told once. */
async function* allOf(pool: Pool): AsyncGenerator<UnpackAccount> {
  const told = new Set<string>();
  const { unpacks } = await pool.now({});
  for (const unpack of unpacks ?? []) {
    told.add(unpack.operationId);
    yield unpack;
  }
  for await (const { number: _number, ...unpack } of pool.listUnpacks({})) {
    if (!told.has(unpack.operationId)) yield unpack;
  }
}

const listing: Listing<UnpackAccount> = {
  columns: [
    { title: "OPERATION" },
    { title: "IMAGE" },
    { title: "STATE" },
    { title: "LAYERS", align: "right" },
    { title: "READ", align: "right" },
    { title: "TIME", align: "right" },
    { title: "FAILURE" },
  ],
  row: ({ operationId: id, image, state, layers, startedAtMs, endedAtMs, failure }) => [
    id,
    image,
    state,
    layers.length === 0 ? "" : `${layersDone(layers)}/${layers.length}`,
    `${formatSize(readBytes(layers))} of ${formatSize(wantedBytes(layers))}`,
    startedAtMs === null ? "" : formatDuration(Math.max(0, (endedAtMs ?? Date.now()) - startedAtMs)),
    failure?.message ?? "",
  ],
  json: (unpack) => unpack,
};

function addCancel(unpacks: Command): void {
  unpacks
    .command("cancel")
    .description("cancel an unpack: it ends as soon as it can, what it has made is undone, and it is not resumed")
    .argument("<id>", "the unpack's operation ID", accept(operationId))
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", examples(["unpacks cancel op-0c6f7f0e-8c1d-4a43-b0c5-1a6c1c9f1d6e", "as 'unpacks' lists it"]))
    .action(async (id: OperationId, _options: JsonOption, command: Command) => {
      await using pool = await openPool(command);
      const { state } = await pool.getUnpack({ operationId: id });
      if (state !== "queued" && state !== "running") {
        throw failedPrecondition(`unpack ${id} has ended (${state}): there is nothing to cancel`);
      }
      await pool.cancelUnpack({ operationId: id });
      if (wantsJson(command)) await printJson({ operationId: id });
      else await printLines([`cancelled the unpack ${id}`]);
    });
}
