// Room: workers. Owns an unpack worker's calls of the pool's jobs: asked again under one operation ID until they are answered.
import type { Backoff } from "../src/domain/backoff.ts";
import { asSnapmillError, isRetryable, isSnapmillError, type SnapmillError } from "../src/domain/errors.ts";
import { freshOperationId } from "../src/domain/identifiers.ts";
import { Retrier } from "../src/domain/retrier.ts";
import type { Arguments, PoolJobName, Result } from "../src/jobs/contract.ts";
import type { JobClient } from "../src/jobs/requests/client.ts";

/** What the calls need of a client. */
export type PoolJobs = Pick<JobClient, "call">;

export interface Patience {
  /** How long to go on while every attempt fails at once: the pool or Redis is away. Infinity: until `signal`. */
  readonly awayMs: number;
  /** Ends the waiting, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** What becomes of a job that has not begun then: taken back, or left in the queue. Default: "take back". */
  readonly whenEnded?: "take back" | "leave";
  /** Told of each attempt that failed and will be repeated. */
  readonly onFailure: (failure: SnapmillError, attempt: number) => void;
}

/** For one attempt: an operation waits behind all that the pool has to do, and a bulk of images can be ahead of it. */
const deadlineMs = 15 * 60_000;
const backoff: Backoff = { firstMs: 250, capMs: 10_000 };

/**
 * Has one of the pool's jobs executed, however often it must be asked for: with one operation ID it has one effect.
 * Throws what the operation fails with for good, the reason of `signal`, and the last failure when patience ends.
 */
export async function callPatiently<Name extends PoolJobName>(
  jobs: PoolJobs,
  name: Name,
  given: Arguments<Name>,
  { awayMs, signal, whenEnded = "take back", onFailure }: Patience,
): Promise<Result<Name>> {
  const operationId = freshOperationId();
  const retrier = new Retrier({ mayPass, outageMs: awayMs, backoff, onFailure });
  signal?.throwIfAborted();
  return await retrier.run(async () => {
    if (whenEnded === "take back") return await jobs.call(name, given, { operationId, deadlineMs, signal });
    return await left(jobs.call(name, given, { operationId, deadlineMs }), signal);
  }, signal);
}

/** What `work` resolves to; rejects with the reason of `signal` as soon as that is aborted. */
async function left<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const leave = () => reject(asSnapmillError(signal.reason));
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([work, ended]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Of an answer that did not come in time, nothing is known: asked again, it is the same operation. */
const mayPass = (error: unknown): error is SnapmillError =>
  isSnapmillError(error) && (isRetryable(error.code) || error.code === "deadline_exceeded");
