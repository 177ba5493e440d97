// Room: cli. Owns how a batch is shown: its fields, its items by state, and each failed item with stage and reason.
import { type ItemCounts, itemCount, itemStates } from "../../domain/batches.ts";
import type { BatchId } from "../../domain/identifiers.ts";
import { formatDuration } from "../../domain/units.ts";
import { allItems, type BatchSummary, batchPage, type ReadItem } from "../../service/batches.ts";
import type { ReachedPool } from "../../service/remote-service.ts";
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
  pool: ReachedPool,
  id: BatchId,
  { json }: { readonly json?: true | undefined },
): Promise<void> {
  const { batch: summary } = await batchPage(pool, { batch: id, limit: 1 });
  if (json) {
    const items = await Array.fromAsync(allItems(pool, { batch: id }));
    await printJson({ pool: pool.config.pool, ...summary, items });
    return;
  }
  const { items: failed } = await batchPage(pool, { batch: id, states: ["failed"], limit: shownFailures });
  const more = summary.counts.failed - failed.length;
  await printLines([
    ...formatFields(fieldsOf(summary, pool.config.pool)),
    ...failed.flatMap((item) => [
      "",
      printable(item.reference),
      `  ${printable(failureText(item, summary))} (${attemptsText(item)})`,
    ]),
    ...(more > 0 ? ["", `and ${plural(more, "item")} more: 'snapmill batch export ${id}' has all`] : []),
  ]);
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
