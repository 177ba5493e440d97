// Room: workers. Owns how often Redis is asked about entries of the outbox: ever more rarely about those that it was given.
import { type Backoff, pauseAfterMs } from "../src/domain/backoff.ts";
import type { OperationId } from "../src/domain/identifiers.ts";

/** The pauses between looks at all entries: longer after each in a row that found nothing changed. */
const pauses: Backoff = { firstMs: 2_000, capMs: 10_000 };

interface Entry {
  readonly operationId: OperationId;
}

export interface Chosen<E extends Entry> {
  /** Those to be looked at now. */
  readonly entries: readonly E[];
  /** To be called when that was done; `changed`: whether anything was added or had ended. */
  readonly looked: (changed: boolean) => void;
}

/**
 * New entries are due at once, all entries when Redis may have lost some, or when the last look was not finished.
 * Otherwise all of them are looked at from time to time, since a single job can vanish as well, and end without its entry
 * being settled.
 */
export class OutboxPace {
  #known = new Set<OperationId>();
  #isLooking = false;
  #quietLooks = 0;
  #nextMs = 0;

  /** These count as new ones again. */
  forget(entries: readonly Entry[]): void {
    for (const { operationId } of entries) this.#known.delete(operationId);
  }

  choose<E extends Entry>(all: readonly E[], mayHaveLost: boolean): Chosen<E> {
    const fresh = all.filter(({ operationId }) => !this.#known.has(operationId));
    const isDue = mayHaveLost || this.#isLooking || performance.now() >= this.#nextMs;
    // From now on: one that is accepted again while this look lasts is due in the next one.
    this.#known = new Set(all.map(({ operationId }) => operationId));
    this.#isLooking = true;
    return {
      entries: isDue ? all : fresh,
      looked: (changed) => {
        this.#isLooking = false;
        if (!isDue && fresh.length === 0) return;
        const isQuiet = isDue && !changed && fresh.length === 0;
        this.#quietLooks = isQuiet ? this.#quietLooks + 1 : 0;
        this.#nextMs = performance.now() + pauseAfterMs(pauses, this.#quietLooks + 1);
      },
    };
  }
}
