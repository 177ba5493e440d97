// Room: test. Owns waiting for a state: bounded in time, with an error that shows what was seen instead.

const defaultWithinMs = 30_000;
const pollMs = 10;
const maxShown = 4_000;

/**
 * Polls `look` until `holds` is true of the state that it returns; returns that state. Throws after `withinMs`, with `what`
 * was expected and the last state. Default: until the state is truthy, for 30 seconds.
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  holds: (state: T) => boolean = Boolean,
  withinMs = defaultWithinMs,
): Promise<T> {
  const startedMs = performance.now();
  for (;;) {
    const state = await look();
    if (holds(state)) return state;
    const waitedMs = performance.now() - startedMs;
    if (waitedMs >= withinMs) {
      throw new Error(`waited ${(waitedMs / 1000).toFixed(1)} s in vain until ${what}; seen last: ${shown(state)}`);
    }
    await Bun.sleep(pollMs);
  }
}

/** In full unless it is very long: then its beginning and its end. */
function shown(state: unknown): string {
  const text = Bun.inspect(state, { depth: 6 });
  if (text.length <= maxShown) return text;
  return `${text.slice(0, maxShown / 2)} [...] ${text.slice(-maxShown / 2)}`;
}
