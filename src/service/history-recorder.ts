// Room: service. Owns the recording of the history while an `up` runs: a sample of every pool, every ten seconds.
import { asSnapmillError } from "../domain/errors.ts";
import { type HistoryPoint, historyRings, spanMs } from "../domain/history.ts";
import { startTimer, type Timer } from "../domain/timers.ts";
import type { Database } from "../metadata/database.ts";
import { forgetPools, recordSamples } from "../metadata/history.ts";
import { HistorySampler } from "./history-sampler.ts";
import type { MetricReading } from "./metrics-reader.ts";

export interface RecordedPool {
  readonly pool: string;
  /** Takes bounded time, and does not fail. */
  readonly readings: () => Promise<readonly MetricReading[]>;
  /** Told of each reading. */
  readonly onRead?: (readings: readonly MetricReading[]) => Promise<void>;
}

export interface Recorded {
  /** That of `up`, for writing; throws what is wrong with it. */
  readonly database: () => Database;
  readonly pools: readonly RecordedPool[];
  /** The pools in which jobs are taken and worked off. */
  readonly readyPools: () => Promise<readonly string[]>;
  /** Receives a sentence when the history can no longer be written, and when it can again. */
  readonly onTrouble: (sentence: string) => void;
}

const { stepMs } = historyRings.hour;

export class HistoryRecorder implements Disposable {
  readonly #recorded: Recorded;
  readonly #samplers: ReadonlyMap<string, HistorySampler>;
  #timer: Timer | undefined;
  #isWritten = true;
  #hasForgotten = false;
  #isOver = false;

  constructor(recorded: Recorded) {
    this.#recorded = recorded;
    this.#samplers = new Map(recorded.pools.map(({ pool }) => [pool, new HistorySampler()]));
  }

  /** Records now, and from now on in the middle of every step, until it is disposed of. */
  start(): void {
    void this.sample(Date.now()).finally(() => this.#arm());
  }

  /** Records one sample of each pool, taken at `atMs`. Does not fail. */
  async sample(atMs: number): Promise<void> {
    try {
      const ready = await this.#recorded.readyPools().catch((): readonly string[] => []);
      const taken = await Promise.all(
        this.#recorded.pools.map(async (each) => this.#take(each, { atMs, isReady: ready.includes(each.pool) })),
      );
      if (!this.#isOver) this.#write(new Map(taken), atMs);
    } catch (error) {
      this.#tell(false, asSnapmillError(error).message);
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.[Symbol.dispose]();
  }

  async #take({ pool, readings, onRead }: RecordedPool, at: { atMs: number; isReady: boolean }) {
    const read = await readings();
    const sampler = this.#samplers.get(pool) ?? new HistorySampler();
    const sample = sampler.take(read, at);
    await onRead?.(read).catch((error: unknown) => {
      // What is being stopped need not be told.
      if (!this.#isOver) this.#recorded.onTrouble(asSnapmillError(error).message);
    });
    return [pool, sample] as const;
  }

  #write(samples: ReadonlyMap<string, HistoryPoint>, atMs: number): void {
    const database = this.#recorded.database();
    recordSamples(database, samples);
    if (!this.#hasForgotten) forgetPools(database, [...samples.keys()], atMs - spanMs("quarter"));
    this.#hasForgotten = true;
    this.#tell(true, "");
  }

  /** By the clock, as it is now: a step has one sample, also after the clock was set. */
  #arm(): void {
    if (this.#isOver) return;
    const intoMs = (Date.now() + stepMs / 2) % stepMs;
    this.#timer = startTimer(stepMs - intoMs, () => void this.sample(Date.now()).finally(() => this.#arm()));
  }

  #tell(isWritten: boolean, why: string): void {
    if (isWritten === this.#isWritten || this.#isOver) return;
    this.#isWritten = isWritten;
    this.#recorded.onTrouble(
      isWritten ? "the history is recorded again" : `the history is not recorded: ${why}; all else goes on`,
    );
  }
}
