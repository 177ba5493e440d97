// Room: domain. Owns timers of any duration: the runtime's own fire at once if they are set to more than 25 days.

/** The longest delay that setTimeout can count, in milliseconds. */
export const longestTimeoutMs = 2 ** 31 - 1;

export interface Timer extends Disposable {
  /** Lets the process end while the timer runs. */
  unref(): Timer;
}

/** Calls `action` once, after `delayMs`, unless the timer is disposed of before. Infinity: never. */
export function startTimer(delayMs: number, action: () => void): Timer {
  const untilMs = performance.now() + delayMs;
  let isRef = true;
  let timeout: ReturnType<typeof setTimeout>;
  const wait = (): void => {
    const leftMs = untilMs - performance.now();
    timeout = setTimeout(leftMs > longestTimeoutMs ? wait : action, Math.min(Math.max(leftMs, 0), longestTimeoutMs));
    if (!isRef) timeout.unref();
  };
  wait();
  const timer: Timer = {
    unref: () => {
      isRef = false;
      timeout.unref();
      return timer;
    },
    [Symbol.dispose]: () => clearTimeout(timeout),
  };
  return timer;
}

/** The result of `answer`; undefined if it takes longer than `ms`. */
export async function inTime<T>(ms: number, answer: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  using _timer = startTimer(ms, () => resolve(undefined));
  return await Promise.race([answer, late]);
}

/** Resolves after `ms`, or as soon as `signal` is aborted: the caller checks which it was. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  using _timer = startTimer(ms, end);
  signal?.addEventListener("abort", end, { once: true });
  await promise;
  signal?.removeEventListener("abort", end);
}
