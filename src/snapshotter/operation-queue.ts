// Room: snapshotter. Owns the operation queue: operations run one after the other, and several share one commit.
import { asSnapmillError, isSnapmillError, unavailable } from "../domain/errors.ts";
import { apartFromWork, boundToWork, inWork } from "../domain/work.ts";
import {
  type Acting,
  commitGroup,
  type GroupCommit,
  type GroupCommitOptions,
  type Settling,
  type Waiting,
} from "./group-commit.ts";
import { observeOperation } from "./observed-operation.ts";
import { failure, type Operation } from "./operations.ts";
import type { RecoveryReport } from "./reconcile.ts";
import type { CrashGuard } from "./strikes.ts";

export interface OperationQueue {
  /** Queues an operation; answers once its last transaction is on disk. */
  submit<Result>(operation: Operation<Result>): Promise<Result>;
  /** Puts the pool in order between two operations. */
  recover(): Promise<RecoveryReport>;
  /** Waits until everything that was submitted has been answered. */
  drain(): Promise<void>;
}

export interface OperationQueueOptions extends GroupCommitOptions {
  /** Puts the pool in order: before the first operation, and whenever an effect is unknown. */
  readonly reconcile: () => Promise<RecoveryReport>;
  /** Called with what was put in order when no caller had asked for it. */
  readonly onReconciled: (report: RecoveryReport) => void;
}

/** At most this many metadata operations share one commit. */
const maxBatch = 64;

/** A pool that cannot be this database's stays so: restarting the worker does not help. */
const isFinal = (error: unknown): boolean => isSnapmillError(error, "failed_precondition");

interface Recovering {
  readonly resolve: (report: RecoveryReport) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The queue works in rounds. A round is one transaction: it settles the operation whose effects have just ended, applies
 * the metadata operations that wait next (up to 64, each in a savepoint of its own), and records the intent of the
 * operation with effects behind them. After the commit, the callers of all operations in the round are answered, and those
 * effects run. So the order of submission is kept; an operation with effects costs two commits alone and one under load;
 * 64 metadata operations cost one.
 */
export function createOperationQueue(options: OperationQueueOptions): OperationQueue {
  const queue: Waiting[] = [];
  const recoveries: Recovering[] = [];
  let running: Promise<void> | undefined;
  let inOrder = false;
  const { crashGuard } = options;

  async function run(): Promise<void> {
    let settling: Settling | undefined;
    while (queue.length > 0 || recoveries.length > 0 || settling !== undefined) {
      // Requests that have arrived in the meantime are read before the next commit, so that they can share it.
      await new Promise((resolve) => setImmediate(resolve));
      if (settling === undefined && (!inOrder || recoveries.length > 0)) await putInOrder();
      const acting = nextRound(settling);
      settling = acting === undefined ? undefined : await perform(acting);
    }
    running = undefined;
  }

  function nextRound(settling: Settling | undefined): Acting | undefined {
    if (settling?.settlement.effectUnknown === true) inOrder = false;
    // When the pool must be put in order before the next operation begins, this round only settles the last one.
    const alone = !inOrder || recoveries.length > 0;
    const { batch, next } = alone ? nothing : takeNext(queue, settling, crashGuard);
    if (settling === undefined && batch.length === 0 && next === undefined) return undefined;
    hold([settling?.waiting, ...batch, next]);
    let acting: Acting | undefined;
    try {
      acting = commitGroup(options, { settling, batch, next });
    } catch {
      // The round's callers have been answered. Effects that could not be settled are found when the pool is put in order.
      inOrder = false;
    }
    hold([acting?.waiting]);
    return acting;
  }

  const hold = (waiting: readonly (Waiting | undefined)[]): void =>
    crashGuard.hold(waiting.flatMap((each) => (each === undefined ? [] : [each.operation.request])));

  function refuseAll(error: unknown): void {
    const reason = unavailable(`the pool could not be put in order: ${asSnapmillError(error).message}`, error);
    for (const { reject } of recoveries.splice(0)) reject(isFinal(error) ? error : reason);
    for (const { reject } of queue.splice(0)) reject(reason);
  }

  async function putInOrder(): Promise<void> {
    try {
      const report = await options.reconcile();
      inOrder = true;
      if (recoveries.length === 0) options.onReconciled(report);
      for (const { resolve } of recoveries.splice(0)) resolve(report);
    } catch (error) {
      refuseAll(error);
    }
  }

  const start = (): void => {
    running ??= apartFromWork(run);
  };

  return {
    submit: <Result>(operation: Operation<Result>) =>
      new Promise<Result>((resolve, reject) => {
        const observer = observeOperation(operation.request.job);
        const within = boundToWork<[step: () => unknown], unknown>((step) => step()) as Waiting["within"];
        queue.push({ operation, observer, within, resolve: resolve as (result: unknown) => void, reject });
        start();
      }),
    recover: () =>
      new Promise<RecoveryReport>((resolve, reject) => {
        recoveries.push({ resolve, reject });
        start();
      }),
    async drain() {
      while (running !== undefined) await running;
    },
  };
}

async function perform({ waiting, act }: Acting): Promise<Settling> {
  try {
    const effects = { name: `effects ${waiting.operation.request.job}` };
    return { waiting, settlement: await waiting.within(() => inWork(effects, act)) };
  } catch (error) {
    // The effects settle failures of devices themselves. This is a bug, and what has happened is unknown.
    return { waiting, settlement: { ...failure(error), effectUnknown: true } };
  }
}

type Next = Pick<GroupCommit, "batch" | "next">;
const nothing: Next = { batch: [], next: undefined };

/** An operation that may have killed a worker gets a round of its own. */
function takeNext(queue: Waiting[], settling: Settling | undefined, crashGuard: CrashGuard): Next {
  const isSuspect = ({ operation }: Waiting): boolean => crashGuard.isSuspect(operation.request.operationId);
  const [first] = queue;
  if (first !== undefined && isSuspect(first)) {
    if (settling !== undefined) return nothing;
    queue.shift();
    return first.operation.kind === "effect" ? { batch: [], next: first } : { batch: [first], next: undefined };
  }
  const end = queue.findIndex((waiting) => waiting.operation.kind === "effect" || isSuspect(waiting));
  const batch = queue.splice(0, Math.min(maxBatch, end === -1 ? queue.length : end));
  const [effect] = queue;
  if (effect?.operation.kind !== "effect" || isSuspect(effect)) return { batch, next: undefined };
  queue.shift();
  return { batch, next: effect };
}
