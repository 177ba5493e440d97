// Room: domain. Owns the two queues of a pool, and how the one of unpacks can be held.
import { commandOn } from "./verdict-trouble.ts";

/** `pool`: executed one after the other by the pool's worker. `unpack`: executed in parallel by the unpack workers. */
export const queueKinds = ["pool", "unpack"] as const;
export type QueueKind = (typeof queueKinds)[number];

/** Jobs are accepted and kept, and not executed. `drained`: for maintenance, which a client sees as "not ready". */
export const holdKinds = ["paused", "drained"] as const;

/** Who asked for the unpack queue to be held, why and since when. */
export interface QueueHold {
  readonly kind: (typeof holdKinds)[number];
  readonly heldBy: string;
  readonly reason: string;
  readonly sinceMs: number;
  /** Since when running unpacks end before their next layer, and wait; null: they go on to their end. */
  readonly handOverAtMs: number | null;
}

/** "drained since 2026-11-29T18:00:00.000Z by root on host1 (new kernel)". */
export const describeHold = ({ kind, heldBy, reason, sinceMs }: QueueHold): string =>
  `${kind} since ${new Date(sinceMs).toISOString()} by ${heldBy} (${reason})`;

const effect = "has unpacks executed again";

/** The way out of a hold: "'snapmill resume' has unpacks executed again". */
export const endOfHold = (pool: string): string => `'${commandOn(pool, "resume")}' ${effect}`;

/** Why a pool that is held is not ready. */
export const heldReason = (hold: QueueHold, pool: string): string =>
  `the pool is ${describeHold(hold)}: ${endOfHold(pool)}`;

/** Whether a reason is that one: of a hold that there is, or that has just ended. */
export const isHeldReason = (reason: string): boolean => reason.endsWith(effect);
