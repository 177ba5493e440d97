// Room: cli. Owns waiting for a batch: a line on stderr whenever it has got on, its report, and the exit status.
import type { BatchState } from "../../domain/batches.ts";
import type { BatchId } from "../../domain/identifiers.ts";
import { type BatchSummary, untilBatchEnds } from "../../service/batches.ts";
import type { ReachedPool } from "../../service/remote-service.ts";
import { countsText, reportBatch } from "../output/batch-report.ts";
import { notice, say } from "../output/output.ts";
import { AlreadySaid } from "../support/failures.ts";

interface WatchOptions {
  readonly json?: true | undefined;
  readonly signal: AbortSignal;
}

/** Where stderr is no terminal, a line is written no more often than this. */
const lineEveryMs = 5_000;

/**
 * Waits for the batch in every pool, and reports it. Throws AlreadySaid unless every item is done or present. When
 * `signal` ends the waiting, the batch goes on.
 */
export async function watchBatches(
  pools: readonly ReachedPool[],
  id: BatchId,
  { json, signal }: WatchOptions,
): Promise<void> {
  let ends: readonly BatchState[];
  try {
    ends = await Promise.all(
      pools.map(async (pool) => {
        const { state } = await untilBatchEnds(pool, id, { signal, onProgress: progressLines(pool, pools.length > 1) });
        return state;
      }),
    );
  } catch (error) {
    if (signal.aborted)
      notice(`batch ${id} goes on: 'snapmill batch show ${id}' shows it, 'batch cancel ${id}' ends it`);
    throw error;
  }
  for (const pool of pools) await reportBatch(pool, id, { json });
  if (ends.some((state) => state !== "done")) throw new AlreadySaid();
}

function progressLines({ config }: ReachedPool, isNamed: boolean): (summary: BatchSummary) => void {
  let last = "";
  let lastMs = Number.NEGATIVE_INFINITY;
  return ({ counts, state }) => {
    const text = `${isNamed ? `${config.pool}: ` : ""}${state}; ${countsText(counts)}`;
    const isDue = process.stderr.isTTY || state !== "running" || performance.now() - lastMs >= lineEveryMs;
    if (text === last || !isDue) return;
    [last, lastMs] = [text, performance.now()];
    say(text);
  };
}
