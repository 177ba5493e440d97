// Room: workers. Owns an unpack worker's look at the hold on its queue: whether what runs is to end before its next layer.
import { AbortReason, Canceller } from "../src/domain/cancellation.ts";
import type { Database } from "../src/metadata/database.ts";
import { unpackHold } from "../src/metadata/queue-holds.ts";

/** A layer that ends within it may be followed by another. */
export const lookEveryMs = 500;

export interface HandOver extends Disposable {
  /** Aborts with the reason `held` once running unpacks are to go back into the queue. */
  readonly signal: AbortSignal;
}

/** Looks now, and from time to time until it is disposed of. A database that cannot be read at the moment says nothing. */
export function watchHandOver(database: Database): HandOver {
  const canceller = new Canceller();
  const look = () => {
    try {
      const at = unpackHold(database)?.handOverAtMs ?? null;
      if (at !== null) canceller.cancel(new AbortReason("held", "the pool is drained: the unpack waits for its end"));
    } catch {
      // The next look may succeed.
    }
  };
  look();
  const timer = setInterval(look, lookEveryMs);
  return { signal: canceller.signal, [Symbol.dispose]: () => clearInterval(timer) };
}

/** Whether work has ended because its queue is held. */
export function isHandedOver(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof AbortReason && each.kind === "held") return true;
  }
  return false;
}
