// Room: service. Owns the book of operations that outlives `up`: kept in its database within bounds of number, bytes and age.
import { asSnapmillError, unavailable } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import {
  type Amount,
  type AskedOperation,
  amountAsked,
  type BegunOperation,
  beginAsked,
  dropAskedBefore,
  dropOldestAsked,
  endAsked,
  findAsked,
} from "../metadata/asked-operations.ts";
import type { Database } from "../metadata/database.ts";
import type { Tracked } from "./tracked.ts";

/** What is kept. docs/API.md says the same. */
export interface BookBounds extends Amount {
  readonly ageMs: number;
}

export const bookBounds: BookBounds = { rows: 10_000, bytes: 64 * 2 ** 20, ageMs: 24 * 3_600_000 };

/** A transaction of so many takes a few milliseconds, in the process that answers requests. */
const stepRows = 500;

export interface OperationBookOptions {
  readonly database: () => Database;
  readonly onTrouble: (sentence: string) => void;
  readonly bounds?: BookBounds;
}

export class OperationBook {
  readonly #options: OperationBookOptions;
  readonly #bounds: BookBounds;
  /** Undefined: not counted yet. It may count a row twice that was written anew, never too few. */
  #amount: Amount | undefined;

  constructor(options: OperationBookOptions) {
    this.#options = options;
    this.#bounds = options.bounds ?? bookBounds;
  }

  /** Throws unavailable if it cannot be read: an operation that may be there must not be done again. */
  find(operationId: OperationId): AskedOperation | undefined {
    return this.#required(() => this.#find(operationId));
  }

  /** The same where nothing depends on it. */
  look(operationId: OperationId): AskedOperation | undefined {
    return this.#tolerant("it is not known how an operation stands", () => this.#find(operationId));
  }

  /** Throws unavailable if it cannot be written: what would be forgotten must not be done. */
  begin(begun: BegunOperation, running: () => readonly OperationId[]): void {
    this.#required(() => {
      this.#makeRoom(running);
      beginAsked(this.#options.database(), begun);
      this.#add({ rows: 1, bytes: 0 });
    });
  }

  /**
   * Whether it could be written. A lost end is harmless where the pool's journal has the answer as well: only the others'
   * is waited for.
   */
  end({ asked, digest, startedAtMs, endedAtMs = Date.now(), answer }: Tracked): boolean {
    if (answer === undefined) return false;
    const { pool = null, ...told } = asked;
    const begun = { ...told, pool, digest, startedAtMs };
    const ended = { answer, endedAtMs, isDurable: asked.isKeyed && asked.recovery !== "journaled" };
    const write = () => endAsked(this.#options.database(), begun, ended);
    const bytes = this.#tolerant("the answer to an operation could not be written down yet", write);
    if (bytes !== undefined) this.#add({ rows: 0, bytes });
    return bytes !== undefined;
  }

  /** Drops some of what is too old; whether there may be more. */
  prune(running: readonly OperationId[]): boolean {
    const beforeMs = Date.now() - this.#bounds.ageMs;
    const drop = () => dropAskedBefore(this.#options.database(), beforeMs, running, stepRows);
    const dropped = this.#tolerant("old operations could not be dropped", drop) ?? 0;
    if (dropped > 0) this.#amount = undefined;
    return dropped === stepRows;
  }

  /** What is too old is not found, although it may still be there. */
  #find(operationId: OperationId): AskedOperation | undefined {
    const found = findAsked(this.#options.database(), operationId);
    const sinceMs = Date.now() - this.#bounds.ageMs;
    return found !== undefined && (found.endedAtMs ?? found.startedAtMs) < sinceMs ? undefined : found;
  }

  /** For one more. A tenth at once, so that it is rarely done. */
  #makeRoom(running: () => readonly OperationId[]): void {
    const database = this.#options.database();
    this.#amount ??= amountAsked(database);
    const { rows, bytes } = this.#bounds;
    if (this.#amount.rows < rows && this.#amount.bytes <= bytes) return;
    this.#amount = amountAsked(database);
    const step = Math.max(1, Math.min(stepRows, Math.floor(rows / 10)));
    while (this.#amount.rows >= rows || this.#amount.bytes > bytes) {
      const dropped = dropOldestAsked(database, running(), step);
      if (dropped.rows === 0) return;
      this.#amount = { rows: this.#amount.rows - dropped.rows, bytes: this.#amount.bytes - dropped.bytes };
    }
  }

  #add({ rows, bytes }: Amount): void {
    if (this.#amount !== undefined) {
      this.#amount = { rows: this.#amount.rows + rows, bytes: this.#amount.bytes + bytes };
    }
  }

  #required<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      const { message } = asSnapmillError(error);
      const sentence = `changes over HTTP are refused: they cannot be written down in service.db (${message})`;
      this.#options.onTrouble(sentence);
      throw unavailable(`${sentence}; make room on its disk, or mend what is named; commands on the pool's host work`);
    }
  }

  #tolerant<T>(what: string, action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.#options.onTrouble(`${what}: ${asSnapmillError(error).message}`);
      return undefined;
    }
  }
}
