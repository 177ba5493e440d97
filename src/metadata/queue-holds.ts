// Room: metadata. Owns the hold on the unpack queue: what keeps it held when Redis has forgotten that, and after a restart.
import { eq } from "drizzle-orm";
import type { QueueHold } from "../domain/queues.ts";
import type { Database } from "./database.ts";
import { queueHolds } from "./schema.ts";

/** The pool's own queue is never held: the operations that end a hold go through it. */
const isOfUnpacks = eq(queueHolds.queue, "unpack");

/** Undefined: the queue is not held by an operator's command. */
export function unpackHold({ drizzle }: Database): QueueHold | undefined {
  const row = drizzle.select().from(queueHolds).where(isOfUnpacks).get();
  if (row === undefined) return undefined;
  const { queue: _queue, ...hold } = row;
  return hold;
}

/** In place of the hold that there is. */
export function putUnpackHold({ drizzle }: Database, hold: QueueHold): void {
  const row = { queue: "unpack", ...hold } as const;
  drizzle.insert(queueHolds).values(row).onConflictDoUpdate({ target: queueHolds.queue, set: row }).run();
}

export const dropUnpackHold = ({ drizzle }: Database): void => {
  drizzle.delete(queueHolds).where(isOfUnpacks).run();
};
