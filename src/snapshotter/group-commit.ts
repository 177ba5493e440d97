// Room: snapshotter. Owns one round of the operation queue: its transaction, and the answers after the commit.
import { asSnapmillError, isRetryable, isSnapmillError, SnapmillError, unavailable } from "../domain/errors.ts";
import { type Database, makeDurable, transact, transactSoon } from "../metadata/database.ts";
import { forgetOperation, recordAnswer, recordedAnswer, recordIntent } from "../metadata/journal.ts";
import type { OperationObserver } from "./observed-operation.ts";
import type { Act, EffectSteps, MetadataSteps, Operation, Outcome, Settlement } from "./operations.ts";
import type { CrashGuard } from "./strikes.ts";

export interface GroupCommitOptions {
  readonly database: Database;
  /** Called in each transaction: throws when this process must no longer write to the database. */
  readonly assertOwned: () => void;
  /** Notes which operations this process executes, and says which it must not execute. */
  readonly crashGuard: CrashGuard;
  /** Called when a transaction that settled effects is on disk, before its callers are answered. */
  readonly settled: () => void;
}

/** An operation whose caller waits for the answer. */
export interface Waiting {
  readonly operation: Operation<unknown>;
  readonly observer: OperationObserver | undefined;
  /** Runs a step as part of the work that submitted the operation: the operation queue itself is part of none. */
  readonly within: <T>(step: () => T) => T;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** An operation whose effects have ended. */
export interface Settling {
  readonly waiting: Waiting;
  readonly settlement: Settlement<unknown>;
}

/** An operation whose intent is recorded: its effects come next. */
export interface Acting {
  readonly waiting: Waiting;
  readonly act: Act<unknown>;
}

export interface GroupCommit {
  readonly settling: Settling | undefined;
  readonly batch: readonly Waiting[];
  /** An operation with effects. */
  readonly next: Waiting | undefined;
}

/** Answers a caller, after the commit. */
type Reply = () => void;

/** Runs the round's transaction and answers its callers. If the commit fails, rejects all of them and throws. */
export function commitGroup(options: GroupCommitOptions, round: GroupCommit): Acting | undefined {
  const { database } = options;
  const replies: Reply[] = [];
  const startMs = Date.now();
  let acting: Acting | undefined;
  try {
    const isLight = round.settling === undefined && round.batch.length === 0 && mayBeLost(round.next);
    (isLight ? transactSoon : transact)(database, () => {
      options.assertOwned();
      if (round.settling !== undefined) replies.push(settle(database, round.settling));
      for (const waiting of round.batch) replies.push(applyMetadata(options, waiting));
      if (round.next !== undefined) acting = begin(options, round.next, replies);
    });
    if (isLight && replies.length > 0) makeDurable(database);
  } catch (error) {
    tellObservers(round, acting, startMs, error);
    rejectAll(round, error);
    throw error;
  }
  tellObservers(round, acting, startMs);
  if (round.settling !== undefined) options.settled();
  for (const reply of replies) reply();
  return acting;
}

/** An operation that has no effects, or is refused, is answered by its first transaction. */
function tellObservers(round: GroupCommit, acting: Acting | undefined, startMs: number, failure?: unknown): void {
  for (const waiting of [round.settling?.waiting, ...round.batch, round.next]) {
    const step = waiting === round.next && acting !== undefined ? "intent" : "result";
    waiting?.observer?.committed(step, startMs, failure);
  }
}

const mayBeLost = (waiting: Waiting | undefined): boolean =>
  waiting?.operation.kind === "effect" && waiting.operation.intentMayBeLost === true;

const settle = (database: Database, { waiting, settlement }: Settling): Reply =>
  conclude(database, waiting, waiting.within(settlement.record), settlement.intentStands);

function applyMetadata({ database, crashGuard }: GroupCommitOptions, waiting: Waiting): Reply {
  const operation = waiting.operation as Operation<unknown> & MetadataSteps<unknown>;
  return (
    alreadyAnswered(database, waiting) ??
    setAside(crashGuard, waiting) ??
    conclude(
      database,
      waiting,
      attempt(database, () => waiting.within(operation.apply)),
    )
  );
}

/** The refusal is not recorded as the answer: once the operation is forgiven, it can be executed. */
function setAside(crashGuard: CrashGuard, waiting: Waiting): Reply | undefined {
  const refusal = crashGuard.refusal(waiting.operation.request.operationId);
  return refusal && (() => waiting.reject(refusal));
}

function begin({ database, crashGuard }: GroupCommitOptions, waiting: Waiting, replies: Reply[]): Acting | undefined {
  const operation = waiting.operation as Operation<unknown> & EffectSteps<unknown>;
  const answered = alreadyAnswered(database, waiting) ?? setAside(crashGuard, waiting);
  if (answered !== undefined) {
    replies.push(answered);
    return undefined;
  }
  const intent = attempt(database, () => waiting.within(operation.intend));
  if (intent.outcome === "failure") {
    replies.push(conclude(database, waiting, intent));
    return undefined;
  }
  recordIntent(database, operation.request);
  return { waiting, act: intent.result };
}

/** The answer in the journal, if the same operation was settled before. */
function alreadyAnswered(database: Database, waiting: Waiting): Reply | undefined {
  const recorded = outcomeOf(() => recordedAnswer(database, waiting.operation.request));
  if (recorded.outcome === "failure") return () => waiting.reject(recorded.failure);
  return recorded.result === undefined ? undefined : replyWith(waiting, recorded.result);
}

/** Runs a step in a savepoint. */
const attempt = <Result>(database: Database, step: () => Result): Outcome<Result> =>
  outcomeOf(() => transact(database, () => ({ value: step() })).value);

/** An error that is no SnapmillError (a full disk, a bug) fails the whole round. */
function outcomeOf<Result>(step: () => Result): Outcome<Result> {
  try {
    return { outcome: "result", result: step() };
  } catch (error) {
    if (error instanceof SnapmillError) return { outcome: "failure", failure: error };
    throw error;
  }
}

/** Records the answer. A retryable failure is not recorded: the same operation can be asked for again. */
function conclude(database: Database, waiting: Waiting, outcome: Outcome<unknown>, intentStands = false): Reply {
  const { request } = waiting.operation;
  const mayPass = outcome.outcome === "failure" && isRetryable(outcome.failure.code);
  if (!mayPass) recordAnswer(database, request, outcome);
  else if (!intentStands) forgetOperation(database, request.operationId);
  return replyWith(waiting, outcome);
}

function replyWith(waiting: Waiting, outcome: Outcome<unknown>): Reply {
  if (outcome.outcome === "failure") return () => waiting.reject(outcome.failure);
  return () => waiting.resolve(outcome.result);
}

/** Nothing of the round has happened: its callers may try again. */
function rejectAll({ settling, batch, next }: GroupCommit, error: unknown): void {
  const reason = isSnapmillError(error, "aborted")
    ? error
    : unavailable(`the pool's database: ${asSnapmillError(error).message}`, error);
  for (const waiting of [settling?.waiting, ...batch, next]) waiting?.reject(reason);
}
