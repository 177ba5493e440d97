// Room: test. Owns the calls of an unpack worker to the pool: repeated under one operation ID while the pool is away.
import { expect, test } from "bun:test";
import { AbortReason, Canceller } from "../../src/domain/cancellation.ts";
import { deadlineExceeded, failedPrecondition, type SnapmillError, unavailable } from "../../src/domain/errors.ts";
import { callPatiently, type Patience, type PoolJobs } from "../../workers/pool-calls.ts";
import { failureOf } from "../jobs/support.ts";

/** A pool that fails with each of `failures` in turn and answers then; `asked` has the operation IDs. */
function poolThatFails(...failures: readonly SnapmillError[]) {
  const asked: unknown[] = [];
  const pool = {
    call: (_name: string, _given: object, options: { operationId?: string }) => {
      const failure = failures[asked.push(options.operationId) - 1];
      return failure === undefined ? Promise.resolve({}) : Promise.reject(failure);
    },
  } as unknown as PoolJobs;
  return { pool, asked };
}

const told: string[] = [];
const call = (pool: PoolJobs, patience: Partial<Patience> = {}) =>
  callPatiently(
    pool,
    "cleanup",
    {},
    {
      awayMs: Number.POSITIVE_INFINITY,
      onFailure: ({ code }) => void told.push(code),
      ...patience,
    },
  );

test("it asks again under one operation ID until it is answered, and tells each failure", async () => {
  const { pool, asked } = poolThatFails(unavailable("Redis is away"), deadlineExceeded("the queue is long"));
  expect(await call(pool)).toEqual({} as never);
  expect(asked).toHaveLength(3);
  expect(new Set(asked).size).toBe(1);
  expect(told).toEqual(["unavailable", "deadline_exceeded"]);
});

test("a final failure ends it, and so does the end of patience", async () => {
  const refused = poolThatFails(failedPrecondition("no"));
  expect((await failureOf(call(refused.pool))).code).toBe("failed_precondition");
  const away = poolThatFails(unavailable("away"), unavailable("still away"));
  expect((await failureOf(call(away.pool, { awayMs: 200 }))).message).toBe("still away");
});

test("its signal ends it at once, with the signal's reason", async () => {
  const canceller = new Canceller();
  const reason = new AbortReason("stopping", "this worker is being stopped");
  const { pool } = poolThatFails(...Array.from({ length: 50 }, () => unavailable("away")));
  const onFailure = () => canceller.cancel(reason);
  expect(await failureOf(call(pool, { signal: canceller.signal, onFailure }))).toBe(reason);
});

test("a job that is left is not told of the end, one that is to be taken back is", async () => {
  for (const whenEnded of ["leave", "take back"] as const) {
    const canceller = new Canceller();
    const reason = new AbortReason("stopping", "this worker is being stopped");
    const signals: unknown[] = [];
    const pool = {
      call: (_name: string, _given: object, { signal }: { signal?: AbortSignal }) => {
        signals.push(signal);
        setImmediate(() => canceller.cancel(reason));
        return new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(reason)));
      },
    } as unknown as PoolJobs;
    expect(await failureOf(call(pool, { signal: canceller.signal, whenEnded }))).toBe(reason);
    expect(signals).toEqual([whenEnded === "leave" ? undefined : canceller.signal]);
  }
});
