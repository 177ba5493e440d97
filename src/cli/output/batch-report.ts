// Room: cli. Owns how a batch is shown: its fields, its items by state, and each failed item with stage and reason.
import { type ItemCounts, itemCount, itemStates } from "../../domain/batches.ts";
import type { BatchId } from "../../domain/identifiers.ts";
import { formatDuration } from "../../domain/units.ts";
import type { BatchSummary, ReadItem } from "../../service/batches.ts";
import type { BatchPool } from "../pool/pool.ts";
import { formatFields, formatTime, plural, printable } from "./format.ts";
import { printJson, printLines } from "./output.ts";

/** "200: 196 done, 4 failed". */
export function countsText(counts: ItemCounts): string {
  const parts = itemStates.flatMap((state) => (counts[state] === 0 ? [] : [`${counts[state]} ${state}`]));
  return `${itemCount(counts)}: ${parts.join(", ")}`;
}

/** "fetch, not_found: …", or why the item was cancelled. */
export function failureText({ state, failure }: ReadItem, summary: BatchSummary): string {
  if (state === "cancelled" || failure === undefined)
    return `cancelled: ${summary.cancelReason ?? "no reason is known"}`;
  return `${failure.stage}, ${failure.code}: ${failure.message}`;
}

/** The number of failed items that are shown; `--json` and `batch export` have all. */
const shownFailures = 50;

/** Writes a batch to stdout. Throws not_found. */
export async function reportBatch(
  pool: BatchPool,
  id: BatchId,
  { json }: { readonly json?: true | undefined },
): Promise<void> {
  const summary = await pool.batch({ batch: id });
  if (json) {
    const items = await Array.fromAsync(pool.listBatchItems({ batch: id }));
    await printJson({ pool: pool.name, ...summary, items });
    return;
  }
  const failed = await firstOf(pool.listBatchItems({ batch: id, states: ["failed"] }), shownFailures);
  const more = summary.counts.failed - failed.length;
  await printLines([
    ...formatFields(fieldsOf(summary, pool.name)),
    ...failed.flatMap((item) => [
      "",
      printable(item.reference),
      `  ${printable(failureText(item, summary))} (${attemptsText(item)})`,
    ]),
    ...(more > 0 ? ["", `and ${plural(more, "item")} more: 'snapmill batch export ${id}' has all`] : []),
  ]);
}

async function firstOf<Item>(items: AsyncIterable<Item>, count: number): Promise<Item[]> {
  const first: Item[] = [];
  for await (const item of items) {
    if (first.length === count) break;
    first.push(item);
  }
  return first;
}

const attemptsText = ({ attempts }: ReadItem): string => plural(attempts, "attempt");

function fieldsOf(summary: BatchSummary, pool: string): (readonly [string, string | undefined])[] {
  const { batch, name, state, counts, priority, parallel, attempts } = summary;
  return [
    ["Batch", batch],
    ["Name", name],
    ["Pool", pool],
    ["State", summary.cancelReason === undefined ? state : `${state}: ${summary.cancelReason}`],
    ["Items", countsText(counts)],
    ["Created", formatTime(summary.createdAtMs)],
    ["Priority", String(priority)],
    ["At a time", String(parallel)],
    ["Attempts", String(attempts)],
    [
      "Ends when",
      summary.failAfterPercent === undefined ? undefined : `more than ${summary.failAfterPercent} % failed`,
    ],
    ["Time limit", summary.timeLimitMs === undefined ? undefined : formatDuration(summary.timeLimitMs)],
  ];
}
