// Room: service. Owns the operations on a pool's queues: what they hold, and whether unpacks are executed.
import { hostname } from "node:os";
import { z } from "zod";
import { redisUrl } from "../config.ts";
import { unavailable } from "../domain/errors.ts";
import type { QueueHold } from "../domain/queues.ts";
import { pause } from "../domain/timers.ts";
import { jobs, type Result } from "../jobs/contract.ts";
import { unpackHold } from "../metadata/queue-holds.ts";
import { userName } from "../system/process/user.ts";
import { operation } from "./operation.ts";
import type { CallOptions, PoolService } from "./service.ts";

const hold = jobs["hold-queue"].result;
const { reason } = jobs["hold-queue"].payload.shape;

const queue = z.object({
  waiting: z.number(),
  active: z.number(),
  /** Failed and waiting for their next attempt. */
  delayed: z.number(),
  completed: z.number(),
  failed: z.number(),
  /** How long the oldest job has waited; 0: none waits. */
  oldestWaitingMs: z.number(),
  /** The number of processes connected to the queue. */
  workers: z.number(),
  /** Whether its jobs are kept and not executed; without a hold, another program on this Redis has paused it. */
  isPaused: z.boolean(),
  /** Who holds it by a command; null: nobody. */
  hold: hold.nullable(),
});
export type QueueState = z.output<typeof queue>;
const bothQueues = z.object({ pool: queue, unpack: queue });

/** Both queues as Redis has them. No job is loaded. */
export const queues = operation(
  { input: z.object({}), output: bothQueues },
  async (service: PoolService): Promise<z.output<typeof bothQueues>> => {
    const client = await service.client();
    const [counts, oldest, workers, paused] = await Promise.all([
      client.counts(),
      client.oldestWaitingMs(),
      client.workers(),
      client.paused(),
    ]);
    const of = (kind: "pool" | "unpack", held: QueueHold | null): QueueState => ({
      ...counts[kind],
      oldestWaitingMs: oldest[kind],
      workers: workers[kind],
      isPaused: paused[kind],
      hold: held,
    });
    return { pool: of("pool", null), unpack: of("unpack", holdOfUnpacks(service)) };
  },
);

/** Who holds the unpack queue, as the pool has it on record; null: nobody. Throws what reading the database throws. */
export const holdOfUnpacks = (service: Pick<PoolService, "database">): QueueHold | null =>
  unpackHold(service.database()) ?? null;

export interface HoldOptions extends CallOptions {
  /** The name of the caller's token; undefined: the user of this process. */
  readonly caller?: string | undefined;
}

/** Has unpacks kept and not executed; those that run go on to their end. */
export const holdQueue = operation(
  { input: z.object({ reason: reason.prefault("no reason given") }), output: hold, recovery: "repeated" },
  (service: PoolService, given, options?: HoldOptions) => held(service, { ...given, kind: "paused" }, options),
);

/** Has jobs executed again: ends a pause, what `drain` began, and what another program on this Redis has paused. */
export const releaseQueue = operation(
  {
    input: z.object({}),
    output: jobs["release-queue"].result.extend({ isPaused: z.boolean() }),
    recovery: "repeated",
  },
  async (service: PoolService, given, options?: CallOptions) => {
    const { pool } = service.config;
    const { resumeQueue } = await import("../jobs/dashboard-queues.ts");
    // The change itself is a job of the pool's queue.
    await resumeQueue(redisUrl(service.config), pool, "pool");
    const released = await service.change("release-queue", given, options);
    await resumeQueue(redisUrl(service.config), pool, "unpack");
    return { ...released, isPaused: !(await becomes(service, false, options?.signal)) };
  },
);

const drained = z.object({
  hold,
  /** Unpacks that still run. */
  running: z.number(),
  /** Unpacks that wait for the end of the hold. */
  waiting: z.number(),
});
export type Drained = z.output<typeof drained>;

/**
 * Holds the unpack queue for maintenance, and returns when no unpack runs. Those that run after `timeoutMs` go back into
 * the queue before their next layer, and keep the layers that they have; they have the same time once more for that. Ended
 * early by `signal`, the pool stays drained.
 */
export const drain = operation(
  {
    input: z.object({
      reason: reason.prefault("maintenance"),
      timeoutMs: z
        .number()
        .int()
        .min(0)
        .max(24 * 3600_000)
        .prefault(10 * 60_000),
    }),
    output: drained,
    recovery: "repeated",
  },
  async (service: PoolService, { timeoutMs, ...given }, options: HoldOptions = {}): Promise<Drained> => {
    const begun = await held(service, { ...given, kind: "drained" }, options);
    if (await areEnded(service, timeoutMs, options.signal)) return await asDrained(service, begun);
    service.notice("unpacks still run: they go back into the queue before their next layer");
    const { operationId: _used, ...again } = options;
    const handedOver = await held(service, { ...given, kind: "drained", handOver: true }, again);
    await areEnded(service, Math.max(timeoutMs, shortestHandOverMs), options.signal);
    return await asDrained(service, handedOver);
  },
);

type Hold = Result<"hold-queue">;
type Asked = Pick<Hold, "kind" | "reason"> & { readonly handOver?: true };

const pollMs = 250;
/** The pool's worker tells Redis within two seconds. */
const toldWithinMs = 15_000;
/** Workers look twice a second whether they are to give their unpacks back. */
const shortestHandOverMs = 10_000;

/** Returns when the queue is paused in Redis, too: nothing that waited then begins any more. */
async function held(service: PoolService, asked: Asked, { caller, ...options }: HoldOptions = {}): Promise<Hold> {
  const heldBy = caller === undefined ? thisUser() : `token ${caller}`;
  const result = await service.change("hold-queue", { handOver: false, ...asked, heldBy }, options);
  if (await becomes(service, true, options.signal)) return result;
  throw unavailable("the hold is written down, but the pool's worker has not paused the queue yet: try again");
}

async function becomes(service: PoolService, isPaused: boolean, signal: AbortSignal | undefined): Promise<boolean> {
  const client = await service.client(signal);
  return await within(toldWithinMs, signal, async () => (await client.paused()).unpack === isPaused);
}

async function areEnded(service: PoolService, timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  const client = await service.client(signal);
  return await within(timeoutMs, signal, async () => (await client.counts()).unpack.active === 0);
}

async function within(
  timeoutMs: number,
  signal: AbortSignal | undefined,
  ask: () => Promise<boolean>,
): Promise<boolean> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    if (await ask()) return true;
    if (performance.now() >= untilMs) return false;
    await pause(pollMs, signal);
  }
}

async function asDrained(service: PoolService, found: Hold): Promise<Drained> {
  const { active, waiting, delayed } = (await (await service.client()).counts()).unpack;
  return { hold: found, running: active, waiting: waiting + delayed };
}

const thisUser = (): string => `${userName()} on ${hostname()}`;
