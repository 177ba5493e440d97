// Room: cli. Owns `snapmill batch`: the commands on a submitted batch, and the list of batches.
import type { Command } from "commander";
import type { BatchId } from "../../domain/identifiers.ts";
import type { BatchSummary } from "../../service/batches.ts";
import { countsText, failureText, reportBatch } from "../output/batch-report.ts";
import { formatTime, plural } from "../output/format.ts";
import { type Listing, notice, printLines, printList, say } from "../output/output.ts";
import { openBatches, openPool } from "../pool/open.ts";
import { parseBatch } from "../support/batch-options.ts";
import { AlreadySaid } from "../support/failures.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { isListable, referenceLine } from "../support/reference-list.ts";
import { addBatchSubmit } from "./batch-submit.ts";
import { tellIfNoneRuns, watchBatches } from "./batch-watch.ts";

export function addBatch(program: Command): void {
  const batch = program
    .command("batch")
    .description("unpack many images as one unit of work that outlives the command");
  batch.helpCommand(false);
  addBatchSubmit(batch);
  addLs(batch);
  addShow(batch);
  addCancel(batch);
  addRetry(batch);
  addRm(batch);
  addExport(batch);
}

function addLs(batch: Command): void {
  batch
    .command("ls")
    .description("list the pool's batches, the latest first")
    .addOption(jsonOption("one JSON object per batch"))
    .addHelpText("after", examples(["batch ls", "all batches with their progress"]))
    .action(async (options: JsonOption, command: Command) => {
      await using pool = await openPool(command);
      await printList(await pool.listBatches({}), batchListing, options);
    });
}

const batchListing: Listing<BatchSummary> = {
  columns: [{ title: "BATCH" }, { title: "NAME" }, { title: "STATE" }, { title: "ITEMS" }, { title: "CREATED" }],
  row: ({ batch, name, state, counts, createdAtMs }) => [
    batch,
    name ?? "",
    state,
    countsText(counts),
    formatTime(createdAtMs),
  ],
  json: (summary) => summary,
};

function addShow(batch: Command): void {
  batch
    .command("show")
    .description("show the progress of a batch: its items by state, and each failed item with its stage and reason")
    .summary("show the progress of a batch")
    .argument("<id>", "the batch", parseBatch)
    .option("--watch", "wait for its end; the exit status is 0 only if every item is done or present")
    .addOption(jsonOption("the batch as one JSON object, with all its items"))
    .addHelpText(
      "after",
      examples(
        ["batch show b-1f2e3d4c5b6a", "at a glance"],
        ["batch show b-1f2e3d4c5b6a --watch", "waits for its end"],
        ["batch show b-1f2e3d4c5b6a --json | jq '.items[] | select(.state==\"failed\")'", "for a program"],
      ),
    )
    .action(async (id: BatchId, options: JsonOption & { readonly watch?: true }, command: Command) => {
      await using pool = await openBatches(command);
      if (options.watch) {
        using interruption = catchInterruption();
        return await watchBatches([pool], id, { json: options.json, signal: interruption.signal });
      }
      await reportBatch(pool, id, options);
      await tellIfNoneRuns(pool, id);
    });
}

function addCancel(batch: Command): void {
  batch
    .command("cancel")
    .description("cancel a batch: waiting items do not start, running ones are stopped and undone")
    .argument("<id>", "the batch", parseBatch)
    .option("--reason <text>", "kept with the batch", "cancelled on the command line")
    .addHelpText("after", examples(["batch cancel b-1f2e3d4c5b6a", "images that are done stay"]))
    .action(async (id: BatchId, { reason }: { readonly reason: string }, command: Command) => {
      await using pool = await openBatches(command);
      const { cancelled, running } = await pool.cancelBatch({ batch: id, reason });
      say(`batch ${id}: ${plural(cancelled, "item")} cancelled, ${running} still being stopped`);
    });
}

function addRetry(batch: Command): void {
  batch
    .command("retry")
    .description("retry the items that failed or were cancelled")
    .argument("<id>", "the batch", parseBatch)
    .option("--failed", "only those that failed")
    .addHelpText("after", examples(["batch retry b-1f2e3d4c5b6a --failed", "after the cause was fixed"]))
    .action(async (id: BatchId, { failed }: { readonly failed?: true }, command: Command) => {
      await using pool = await openBatches(command);
      const { retried } = await pool.retryBatch({ batch: id, failedOnly: failed === true });
      say(`batch ${id}: ${plural(retried, "item")} queued again`);
    });
}

function addRm(batch: Command): void {
  batch
    .command("rm")
    .description("delete the record of a batch that has ended; its images stay")
    .argument("<id>", "the batch", parseBatch)
    .addHelpText("after", examples(["batch rm b-1f2e3d4c5b6a", "its images stay"]))
    .action(async (id: BatchId, _options: object, command: Command) => {
      await using pool = await openBatches(command);
      await pool.removeBatch({ batch: id });
    });
}

function addExport(batch: Command): void {
  batch
    .command("export")
    .description(
      "print what failed or was cancelled, one reference per line, with the reason as a comment; 'batch submit' reads it",
    )
    .summary("print what failed, for 'batch submit'")
    .argument("<id>", "the batch", parseBatch)
    .addHelpText(
      "after",
      examples(["batch export b-1f2e3d4c5b6a > left.txt", "edit it, then submit it again: batch submit left.txt"]),
    )
    .action(async (id: BatchId, _options: object, command: Command) => {
      await using pool = await openBatches(command);
      const summary = await pool.batch({ batch: id });
      let unlisted = 0;
      for await (const item of pool.listBatchItems({ batch: id, states: ["failed", "cancelled"] })) {
        await printLines([referenceLine(item.reference, failureText(item, summary))]);
        if (!isListable(item.reference)) unlisted += 1;
      }
      if (unlisted === 0) return;
      notice(
        `${plural(unlisted, "reference")} cannot stand in a list, because of '#' or control characters in a path: 'snapmill batch retry ${id}' takes them too`,
      );
      throw new AlreadySaid();
    });
}
