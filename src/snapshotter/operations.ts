// Room: snapshotter. Owns what an operation is to the lane: its steps, and how each one leads to the next.
import { aborted, asSnapmillError, isSnapmillError, type SnapmillError } from "../domain/errors.ts";
import type { Request } from "../metadata/journal.ts";

/** An operation that changes the database and nothing else. */
export interface MetadataSteps<Result> {
  readonly kind: "metadata";
  /** Runs in a transaction, of which its part is undone when it throws. */
  readonly apply: () => Result;
}

/**
 * An operation on devices. Each step returns the next: `intend` checks and records what is about to happen, in a
 * transaction; the effects run outside of any; what came of them is recorded in a second transaction, with the answer.
 */
export interface EffectSteps<Result> {
  readonly kind: "effect";
  /** The effects leave no trace that the intent would have to explain: it need not be on disk when they begin. */
  readonly intentMayBeLost?: true;
  readonly intend: () => Act<Result>;
}

/** What a verb returns. */
export type Steps<Result> = MetadataSteps<Result> | EffectSteps<Result>;

export type MetadataOperation<Result> = MetadataSteps<Result> & { readonly request: Request };

/** Steps, and the request that the journal knows them by. */
export type Operation<Result> = Steps<Result> & { readonly request: Request };

/** The effects. Does not throw for what can go wrong with a device: it takes back what it did, and settles a failure. */
export type Act<Result> = () => Promise<Settlement<Result>>;

export interface Settlement<Result> {
  /** Nobody knows what the effects were: the pool is put in order before anything else happens. */
  readonly effectUnknown: boolean;
  /** A failure from which the only way is onwards: the intent stands, whoever finishes it settles the operation. */
  readonly intentStands: boolean;
  /** Runs in a transaction, and answers. */
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
 * Effects that failed. A command that ran out of time may still have its effect: that is not a final failure but a
 * reason to look at the pool before anything else is done, and for the caller to try again.
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
