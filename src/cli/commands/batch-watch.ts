// Room: cli. Owns waiting for a batch: progress lines on stderr, the report, and the exit status.
import { type BatchState, isBatchOver } from "../../domain/batches.ts";
import { AbortReason, Canceller } from "../../domain/cancellation.ts";
import type { BatchId } from "../../domain/identifiers.ts";
import { pause } from "../../domain/timers.ts";
import type { BatchSummary } from "../../service/batches.ts";
import { countsText, reportBatch } from "../output/batch-report.ts";
import { notice, say } from "../output/output.ts";
import type { BatchPool } from "../pool/pool.ts";
import { AlreadySaid } from "../support/failures.ts";

interface WatchOptions {
  readonly json?: true | undefined;
  readonly signal: AbortSignal;
}

/**
 * The shortest time between two progress lines if stderr is not a terminal; also how often to check whether anything
 * runs.
 */
const lineEveryMs = 5_000;

/**
 * Waits for the batch in every pool, then reports it. Throws AlreadySaid unless every item is done or present. `signal`
 * ends the wait, not the batch, which continues where it is served.
 */
export async function watchBatches(
  pools: readonly BatchPool[],
  id: BatchId,
  { json, signal }: WatchOptions,
): Promise<void> {
  let ends: readonly BatchState[];
  const ended = new Canceller();
  try {
    ends = await Promise.all(
      pools.map(async (pool) => {
        void tellWhenNoneRuns(pool, id, AbortSignal.any([signal, ended.signal])).catch(() => undefined);
        const { state } = await untilBatchEnds(pool, id, { signal, onProgress: progressLines(pool, pools.length > 1) });
        return state;
      }),
    );
  } catch (error) {
    if (signal.aborted) await tellWhatBecomesOf(pools, id);
    throw error;
  } finally {
    ended.cancel(new AbortReason("over", "the wait for the batch is over"));
  }
  for (const pool of pools) await reportBatch(pool, id, { json });
  if (ends.some((state) => state !== "done")) throw new AlreadySaid();
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly onProgress: (summary: BatchSummary) => void;
}

/** Waits for the end of the batch and returns its result. Throws not_found, and the reason of `signal`. */
export async function untilBatchEnds(
  { batch, pollMs }: Pick<BatchPool, "batch" | "pollMs">,
  id: BatchId,
  { signal, onProgress }: Waiting,
): Promise<BatchSummary> {
  for (;;) {
    signal.throwIfAborted();
    const summary = await batch({ batch: id }, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw error;
    });
    onProgress(summary);
    if (isBatchOver(summary.state)) return summary;
    await pause(pollMs, signal);
  }
}

function progressLines({ name }: BatchPool, isNamed: boolean): (summary: BatchSummary) => void {
  let last = "";
  let lastMs = Number.NEGATIVE_INFINITY;
  return ({ counts, state }) => {
    const text = `${isNamed ? `${name}: ` : ""}${state}; ${countsText(counts)}`;
    const isDue = process.stderr.isTTY || state !== "running" || performance.now() - lastMs >= lineEveryMs;
    if (text === last || !isDue) return;
    [last, lastMs] = [text, performance.now()];
    say(text);
  };
}

/** Services that this command brought up go with it. */
async function tellWhatBecomesOf(pools: readonly BatchPool[], id: BatchId): Promise<void> {
  const serving = await Promise.all(pools.map((pool) => pool.serving()));
  const isServed = serving.every((found) => found === "lasting");
  const what = isServed ? "goes on" : "waits until a snapmill runs again ('snapmill up')";
  notice(`batch ${id} ${what}: 'snapmill batch show ${id}' shows it, 'snapmill batch cancel ${id}' ends it`);
}

/** Says so when a batch waits because nothing runs on this host that serves its pool; returns whether it does. */
export async function tellIfNoneRuns(pool: BatchPool, id: BatchId): Promise<boolean> {
  const { state } = await pool.batch({ batch: id });
  if (isBatchOver(state) || (await pool.serving()) !== undefined) return false;
  const { stateDir } = await pool.place();
  notice(`batch ${id} waits: no snapmill runs for ${stateDir}; start one with 'snapmill up --state-dir ${stateDir}'`);
  return true;
}

/** Once, for as long as the batch is waited for. */
async function tellWhenNoneRuns(pool: BatchPool, id: BatchId, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await tellIfNoneRuns(pool, id))) await pause(lineEveryMs, signal);
}
