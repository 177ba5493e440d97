// Room: service. Owns how an operation stands, by its ID: as this `up` has begun it, or as journal, outbox and queue know it.
import { z } from "zod";
import { AbortReason } from "../domain/cancellation.ts";
import {
  aborted,
  errorCodes,
  failedPrecondition,
  isRetryable,
  notFound,
  type SnapmillError,
} from "../domain/errors.ts";
import { type OperationId, operationId } from "../domain/identifiers.ts";
import { parsing } from "../domain/parsing.ts";
import type { Recovery } from "../domain/recovery.ts";
import type { AskedOperation } from "../metadata/asked-operations.ts";
import { type Answer, journaledOperation } from "../metadata/journal.ts";
import { outboxEntry } from "../metadata/outbox.ts";
import type { Host } from "./host.ts";
import { operation } from "./operation.ts";
import type { CallOptions, PoolService } from "./service.ts";
import type { Tracked } from "./tracked.ts";
import { cancelUnpack } from "./unpack.ts";

export const operationState = z.object({
  operationId: z.string(),
  /** Its name in the API; of one that was begun elsewhere, its job's. */
  operation: z.string(),
  pool: z.string().nullable(),
  state: z.enum(["running", "done", "failed"]),
  startedAtMs: z.number(),
  endedAtMs: z.number().nullable(),
  /** What it last told of itself: of an unpack, its layers. */
  progress: z.unknown().optional(),
  /** When it is done: its answer. */
  result: z.unknown().optional(),
  /** When it has failed. */
  failure: z.object({ code: z.enum(errorCodes), message: z.string() }).optional(),
});
export type OperationState = z.output<typeof operationState>;

export const operationInput = z.object({ operationId: z.string().transform(parsing(operationId)) });

/** Throws not_found for an operation that nobody has asked for, or that is no longer remembered. */
export const getOperation = operation(
  { input: operationInput, output: operationState },
  async (host: Host, { operationId: id }) => {
    const state = await stateOf(host, id);
    if (state !== undefined) return state;
    throw notFound(`there is no operation ${id}, or it ended too long ago to be remembered`);
  },
);

/** Undefined: it is not known. */
export async function stateOf({ pools, operations }: Host, id: OperationId): Promise<OperationState | undefined> {
  const tracked = operations.find(id);
  if (tracked !== undefined && (tracked.answer === undefined || !mayGoOn(tracked.asked.recovery, tracked.answer))) {
    return trackedState(tracked);
  }
  const asked = tracked === undefined ? operations.recorded(id) : undefined;
  const progress = operations.lastProgress(id);
  if (asked !== undefined && !mayGoOn(asked.recovery, asked.answer)) return askedState(asked, progress);
  for (const service of pools.values()) {
    const state = (await recordedState(service, id)) ?? (await queuedState(service, id));
    if (state !== undefined) return state;
  }
  return (tracked && trackedState(tracked)) ?? (asked && askedState(asked, progress));
}

/**
 * The wait may have failed, because Redis was away, or `up` has ended, while the operation itself goes on. Of one that is
 * several jobs, what is journaled under its ID is a part.
 */
const mayGoOn = (recovery: Recovery, answer: Answer | undefined): boolean =>
  recovery === "journaled" &&
  (answer === undefined || (answer.outcome === "failure" && isRetryable(answer.failure.code)));

/**
 * Cancels an operation: an unpack ends as soon as it can, another change is taken back if it has not begun. Answers how it
 * stands then. Throws failed_precondition for one that has ended, or that cannot be cancelled.
 */
export const cancelOperation = operation(
  { input: operationInput, output: operationState, recovery: "repeated" },
  async (host: Host, { operationId: id }, options: Pick<CallOptions, "signal"> = {}) => {
    const before = await getOperation(host, { operationId: id });
    if (before.state !== "running") throw failedPrecondition(`operation ${id} has ended: there is nothing to cancel`);
    const tracked = host.operations.find(id);
    if (tracked !== undefined && tracked.answer === undefined) {
      tracked.cancel(new AbortReason("cancelled", "the operation was cancelled"));
      await tracked.ended;
    } else {
      const pool = [...host.pools].find(([name]) => name === before.pool)?.[1];
      if (before.operation !== "unpack" || pool === undefined) {
        throw failedPrecondition(`operation ${id} is a ${before.operation} that is under way: wait for its end`);
      }
      await cancelUnpack(pool, { operationId: id }, { signal: options.signal });
    }
    return (await stateOf(host, id)) ?? before;
  },
);

const trackedState = ({ asked, startedAtMs, endedAtMs, answer, progress }: Tracked): OperationState => ({
  operationId: asked.operationId,
  operation: asked.operation,
  pool: asked.pool ?? null,
  startedAtMs,
  endedAtMs: endedAtMs ?? null,
  ...(progress !== undefined && { progress }),
  ...ending(answer),
});

const askedState = (asked: AskedOperation, progress: unknown): OperationState => ({
  operationId: asked.operationId,
  operation: asked.operation,
  pool: asked.pool,
  startedAtMs: asked.startedAtMs,
  endedAtMs: asked.endedAtMs,
  ...(progress !== undefined && { progress }),
  ...(asked.answer === undefined ? failed(interrupted(asked)) : ending(asked.answer)),
});

/** Nobody runs it any more. */
function interrupted({ operation: name, recovery, isKeyed }: AskedOperation): SnapmillError {
  const what = `the snapmill that ran this ${name} ended before it did`;
  if (recovery === "unknown" || !isKeyed) {
    return failedPrecondition(
      `${what}, and what it has done is not known: look at what is there, then ask for the rest`,
    );
  }
  return aborted(`${what}: send the request again with the same Idempotency-Key, which has it finished`);
}

function ending(answer: Answer | undefined): Pick<OperationState, "state" | "result" | "failure"> {
  if (answer === undefined) return { state: "running" };
  return answer.outcome === "result" ? { state: "done", result: answer.result } : failed(answer.failure);
}

const failed = ({ code, message }: SnapmillError) => ({ state: "failed", failure: { code, message } }) as const;

/** As the pool's database knows it; an unpack that is under way also as the queue does. */
async function recordedState(service: PoolService, id: OperationId): Promise<OperationState | undefined> {
  const known = { operationId: id, pool: service.config.pool };
  const journaled = journaledOperation(service.database(), id);
  if (journaled !== undefined) {
    const { job, intendedAtMs, settledAtMs, answer } = journaled;
    return { ...known, operation: job, startedAtMs: intendedAtMs, endedAtMs: settledAtMs, ...ending(answer) };
  }
  const entry = outboxEntry(service.database(), id);
  if (entry === undefined) return undefined;
  const { job, createdAtMs, cancelledAtMs } = entry;
  const base = { ...known, operation: job, startedAtMs: createdAtMs, endedAtMs: cancelledAtMs };
  if (cancelledAtMs !== null) return { ...base, ...failed(aborted("it was cancelled")) };
  // Accepted is accepted, also while Redis is away.
  const queued = await service.client().then(
    (client) => client.queued(id),
    () => undefined,
  );
  return { ...base, state: "running", progress: queued?.progress?.layers };
}

/** As its queue knows it: waiting, or kept with its answer. Throws unavailable while Redis is away. */
async function queuedState(service: PoolService, id: OperationId): Promise<OperationState | undefined> {
  const queued = await (await service.client()).queued(id);
  if (queued === undefined) return undefined;
  const { job, queuedAtMs, endedAtMs, progress, stand } = queued;
  const base = { operationId: id, pool: service.config.pool, operation: job, startedAtMs: queuedAtMs };
  switch (stand.state) {
    case "lost":
      return undefined;
    case "pending":
      return { ...base, endedAtMs: null, state: "running", progress: progress?.layers };
    case "completed":
      return { ...base, endedAtMs, state: "done", result: stand.result };
    case "failed":
      return { ...base, endedAtMs, ...failed(stand.failure) };
  }
}
