// Room: snapshotter. Owns what an operation is to the operation queue: its steps, and how each leads to the next.
import { aborted, asSnapmillError, isSnapmillError, type SnapmillError } from "../domain/errors.ts";
import type { Request } from "../metadata/journal.ts";

/** An operation that changes the database and nothing else. */
export interface MetadataSteps<Result> {
  readonly kind: "metadata";
  /** Runs in a transaction; what it has changed is rolled back when it throws. */
  readonly apply: () => Result;
}

/**
 * An operation on devices. Each step returns the next: `intend` checks and records, in a transaction, what is about to
 * happen; the effects run outside of any transaction; their outcome is recorded, with the answer, in a second one.
 */
export interface EffectSteps<Result> {
  readonly kind: "effect";
  /** The effects leave nothing that recovery would need the intent for: it need not be on disk when they begin. */
  readonly intentMayBeLost?: true;
  readonly intend: () => Act<Result>;
}

/** What a verb returns. */
export type Steps<Result> = MetadataSteps<Result> | EffectSteps<Result>;

/** Steps, and the request that the journal knows them by. */
export type Operation<Result> = Steps<Result> & { readonly request: Request };

/** The effects. For a failure of a device it does not throw: it undoes what it did, and settles the failure. */
export type Act<Result> = () => Promise<Settlement<Result>>;

export interface Settlement<Result> {
  /** It is unknown what the effects were: the pool is put in order before the next operation. */
  readonly effectUnknown: boolean;
  /** The failed effects can only be finished, not undone: the intent stays, and what finishes them settles the operation. */
  readonly intentStands: boolean;
  /** Runs in a transaction; returns the answer. */
  readonly record: () => Outcome<Result>;
}

export type Outcome<Result> =
  | { readonly outcome: "result"; readonly result: Result }
  | { readonly outcome: "failure"; readonly failure: SnapmillError };

export const success = <Result>(record: () => Result): Settlement<Result> => ({
  effectUnknown: false,
  intentStands: false,
  record: () => ({ outcome: "result", result: record() }),
});

/**
 * Effects that failed. A command that timed out may still take effect: the pool is inspected before the next operation,
 * and the caller may try again.
 */
export function failure(error: unknown, record?: () => void): Settlement<never> {
  const effectUnknown = isSnapmillError(error, "deadline_exceeded");
  const answer = effectUnknown
    ? aborted(`${error.message}; the pool is put in order, then the same operation can be tried again`, error)
    : asSnapmillError(error);
  return {
    effectUnknown,
    intentStands: false,
    record: () => {
      record?.();
      return { outcome: "failure", failure: answer };
    },
  };
}
