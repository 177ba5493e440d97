// Room: workers. Owns what an unpack worker does for a batch's item beside unpacking it: the item begins, is limited in
// time, and an attempt that failed is counted.
import { AbortReason, Canceller } from "../src/domain/cancellation.ts";
import { failedPrecondition, isRetryable, type SnapmillError, unavailable } from "../src/domain/errors.ts";
import { startTimer } from "../src/domain/timers.ts";
import { stageOf } from "../src/domain/unpack-stage.ts";
import type { Arguments, Payload, PoolJobName, Result } from "../src/jobs/contract.ts";

/** Has one of the pool's jobs executed, however often it must be asked for, until it is answered or `signal` aborts. */
export type PatientCall = <Name extends PoolJobName>(
  name: Name,
  given: Arguments<Name>,
  signal: AbortSignal,
) => Promise<Result<Name>>;

export interface TimeLimit extends Disposable {
  /** Aborts with the reason `deadline`. */
  readonly signal: AbortSignal;
  /** The reason again, with what it interrupted. */
  readonly reason: (interrupted: unknown) => AbortReason;
}

/** The time limit of an attempt, which starts now; none where the unpack is of no batch, or its batch has none. */
export function startTimeLimit({ reference, batch }: Payload<"unpack">): TimeLimit {
  const over = new Canceller();
  const limitMs = batch?.timeLimitMs ?? Number.POSITIVE_INFINITY;
  const message = `image ${reference}: it took longer than its time limit of ${limitMs / 1000} s`;
  const reason = (cause?: unknown) => new AbortReason("deadline", message, { cause });
  const timer = startTimer(limitMs, () => over.cancel(reason()));
  return { signal: over.signal, reason, [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

/** Says that the item of this job is begun with; whether it is still wanted. An unpack of no batch always is. */
export async function beginItem(
  call: PatientCall,
  { operationId, batch }: Payload<"unpack">,
  signal: AbortSignal,
): Promise<boolean> {
  if (batch === undefined) return true;
  const { isWanted } = await call("begin-unpack", { unpackOperationId: operationId }, signal);
  return isWanted;
}

/** How the pool's records know a failure. */
export const failureRecord = (failure: SnapmillError) => ({
  code: failure.code,
  message: failure.message,
  stage: stageOf(failure) ?? ("queue" as const),
});

/** Whether another attempt at a batch's item may succeed. A registry that failed again and again may be back by then. */
export function mayPassLater(failure: SnapmillError): boolean {
  if (isRetryable(failure.code)) return true;
  return failure.code === "deadline_exceeded" && !(failure instanceof AbortReason);
}

/** Counts an attempt at an item that failed; returns what its job fails with: is it retried, or was it the last. */
export async function countFailedAttempt(
  call: PatientCall,
  { operationId, batch }: Payload<"unpack">,
  failure: SnapmillError,
  signal: AbortSignal,
): Promise<SnapmillError> {
  const noted = { unpackOperationId: operationId, failure: failureRecord(failure) };
  const { isLast } = await call("note-attempt", noted, signal);
  if (!isLast) return unavailable(failure.message, failure);
  return failedPrecondition(`${failure.message}; given up after ${batch?.attempts ?? 1} attempts`, failure);
}
