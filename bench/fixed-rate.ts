// Room: bench. Owns reads at a fixed rate: sent when they are due, whatever has become of those before them.
import { AbortReason, Canceller } from "../src/domain/cancellation.ts";
import { inTime, pause } from "../src/domain/timers.ts";

/** Reads become due in ticks: timers are no finer, and one that runs through would take a core from the server. */
const tickMs = 2;
/** A server that is so far behind is not asked more: the read is counted as missed. */
const mostUnderWay = 1_000;
const drainMs = 10_000;

export interface Readings {
  /** Milliseconds of each answered read since it was due, so that a stalled server is not asked less. */
  readonly samplesMs: number[];
  /** Milliseconds between when each read was due and when it was sent: the part of the above that is not the server's. */
  readonly lateMs: number[];
  missed: number;
  failed: number;
}

export const noReadings = (): Readings => ({ samplesMs: [], lateMs: [], missed: 0, failed: 0 });

export interface Load {
  readonly perSecond: number;
  /** The `index`-th read; ends when `signal` is aborted. */
  readonly read: (index: number, signal: AbortSignal) => Promise<void>;
  readonly isOver: () => boolean;
  readonly signal: AbortSignal;
}

/** Reads until `isOver`, and adds to `readings`. Throws the reason of `signal` when it is aborted. */
export async function readAtRate({ perSecond, read, isOver, signal }: Load, readings: Readings): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const ending = new Canceller();
  const startedAtMs = performance.now();
  let sent = 0;
  const send = (dueAtMs: number): void => {
    const index = sent++;
    if (underWay.size >= mostUnderWay) {
      readings.missed += 1;
      return;
    }
    readings.lateMs.push(performance.now() - dueAtMs);
    const answered = read(index, ending.signal).then(
      () => void readings.samplesMs.push(performance.now() - dueAtMs),
      () => {
        readings.failed += 1;
      },
    );
    underWay.add(answered);
    void answered.finally(() => underWay.delete(answered));
  };
  for (let tick = 1; !isOver() && !signal.aborted; tick += 1) {
    const dueAtMs = startedAtMs + tick * tickMs;
    await pause(Math.max(0, dueAtMs - performance.now()), signal);
    while (sent < (tick * tickMs * perSecond) / 1_000 && !signal.aborted) send(dueAtMs);
  }
  const drained = signal.aborted ? undefined : await inTime(drainMs, Promise.all(underWay));
  if (drained === undefined) ending.cancel(new AbortReason("over", "the measurement is over"));
  await Promise.all(underWay);
  signal.throwIfAborted();
}
