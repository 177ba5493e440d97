// Room: domain. Owns the two queues of a pool, and how one can be held.

/** `pool`: executed one after the other by the pool's worker. `unpack`: executed in parallel by the unpack workers. */
export const queueKinds = ["pool", "unpack"] as const;
export type QueueKind = (typeof queueKinds)[number];

/** `paused`: jobs are kept and not executed. `drained`: nothing new is accepted either. */
export const holdKinds = ["paused", "drained"] as const;

/** Who asked for a queue to be held, why and since when. */
export interface QueueHold {
  readonly queue: QueueKind;
  readonly kind: (typeof holdKinds)[number];
  readonly heldBy: string;
  readonly reason: string;
  readonly sinceMs: number;
  /** Since when running unpacks are told to end before their next layer; undefined: they go on to their end. */
  readonly handOverAtMs?: number | undefined;
}

/** "drained since 2026-11-29T18:00:00.000Z by root on host1 (new kernel)". */
export const describeHold = ({ kind, heldBy, reason, sinceMs }: QueueHold): string =>
  `${kind} since ${new Date(sinceMs).toISOString()} by ${heldBy} (${reason})`;
