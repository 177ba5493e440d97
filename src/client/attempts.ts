// Room: client. Owns repetition: what may pass is sent again, with growing pauses, for a bounded time.
import { type Backoff, spreadPauseAfterMs } from "../domain/backoff.ts";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { pause, startTimer, type Timer } from "../domain/timers.ts";
import { ApiError } from "./failures.ts";

const backoff: Backoff = { firstMs: 150, capMs: 2_000 };
/** A server that asks for a longer pause is not waited for. */
const longestPauseMs = 10_000;

/**
 * Returns what `action` returns; repeats it while its failures may pass. For reads, and for changes under one
 * operation ID, which have one effect however often they are sent.
 */
export async function repeated<T>(
  action: () => Promise<T>,
  { attempts, signal }: { readonly attempts: number; readonly signal: AbortSignal | undefined },
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof ApiError) || !error.mayPass || failures >= attempts) throw error;
      const pauseMs = error.retryAfterMs ?? spreadPauseAfterMs(backoff, failures);
      if (pauseMs > longestPauseMs) throw error;
      await pause(pauseMs, signal);
      signal?.throwIfAborted();
    }
  }
}

/** What is left of the patience of a caller who has aborted `signal`: aborted `graceMs` later. */
export function patient(
  signal: AbortSignal | undefined,
  graceMs: number,
): Disposable & { readonly signal: AbortSignal } {
  const over = new Canceller();
  let timer: Timer | undefined;
  const begin = () => {
    timer = startTimer(graceMs, () => over.cancel(new AbortReason("cancelled", "the call was cancelled")));
  };
  signal?.addEventListener("abort", begin, { once: true });
  return {
    signal: over.signal,
    [Symbol.dispose]: () => {
      timer?.[Symbol.dispose]();
      signal?.removeEventListener("abort", begin);
    },
  };
}
