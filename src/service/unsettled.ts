// Room: service. Owns the keys that abandoned calls may still change.
import { setTimeout as delay } from "node:timers/promises";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { unavailable } from "../domain/errors.ts";

/** How long a call waits for an earlier, abandoned call. */
const patienceMs = 1_000;

/**
 * A change that is being executed when its caller gives up is completed, as a transaction of containerd's own
 * snapshotters would be. Until then, no other change of its keys starts: otherwise a late removal, for example, could
 * remove a snapshot that was prepared later under the same key.
 */
export class Unsettled {
  readonly #byKey = new Map<string, Promise<unknown>>();

  /** `ended` resolves when the abandoned call can have no further effect. */
  note(keys: readonly string[], ended: Promise<void>): void {
    for (const key of keys) {
      const all = Promise.all([this.#byKey.get(key), ended]);
      this.#byKey.set(key, all);
      void all.then(() => {
        if (this.#byKey.get(key) === all) this.#byKey.delete(key);
      });
    }
  }

  /** Waits until all abandoned calls on `keys` have ended; throws unavailable if that takes too long. */
  async settled(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const open = keys.flatMap((key) => this.#byKey.get(key) ?? []);
    if (open.length === 0) return;
    const over = new Canceller();
    const late = delay(patienceMs, "late", {
      signal: AbortSignal.any([over.signal, ...(signal === undefined ? [] : [signal])]),
    });
    try {
      if ((await Promise.race([Promise.all(open), late])) !== "late") return;
    } finally {
      over.cancel(new AbortReason("over", "the earlier call has ended"));
      late.catch(() => undefined);
    }
    const named = keys.map((key) => JSON.stringify(key)).join(", ");
    throw unavailable(`an earlier call on ${named}, whose caller has gone, is still under way: try again`);
  }
}
