// Room: test. Owns the waiting for a state: bounded, and with what was seen instead when the state does not come.

const defaultWithinMs = 30_000;
const pollMs = 10;
const maxShown = 4_000;

/**
 * Looks again and again until `holds` of what it sees, and returns that. Throws when it does not hold within `withinMs`,
 * with what was waited for and the state that was seen last. Default: until the state is truthy, for 30 seconds.
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
