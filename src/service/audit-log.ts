// Room: service. Owns the audit log of an `up`: each change is written down before it is made, and completed after it.
import { type Stats, statSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import type { Caller } from "../domain/callers.ts";
import { asSnapmillError, failedPrecondition, type SnapmillError, unavailable } from "../domain/errors.ts";
import { type AuditBounds, type BegunChange, beginAudit, endAudit, pruneAudit } from "../metadata/audit.ts";
import { type Database, openDatabase, writeTrouble } from "../metadata/database.ts";
import { serviceSchema } from "../metadata/migrations.ts";
import { auditedRequest, auditedText } from "./audited-request.ts";

/** A change that somebody asks for. */
export interface AskedChange extends Pick<BegunChange, "requestId" | "method" | "path" | "operation" | "pool"> {
  readonly caller: Caller;
  /** In the caller's words. */
  readonly reason: string | undefined;
  /** As it was given; undefined: it could not be read, or is not recorded. */
  readonly given: unknown;
  readonly operationId: string | undefined;
}

export interface Outcome {
  /** `ok`, or the code of the problem. */
  readonly code: string;
  /** Of HTTP. */
  readonly status: number;
  readonly operationId?: string | undefined;
}

/** A change in the log that is being made. */
export interface AuditEntry {
  /** The first call counts. A failure to write it is told, and leaves the entry as begun. */
  readonly end: (outcome: Outcome) => void;
}

export const auditKeptMs = 90 * 86_400_000;
/** About 1 GiB. The oldest go first, whatever their age. */
const maxRows = 2_000_000;
const pruneEveryMs = 3_600_000;
/** A transaction of so many takes a few milliseconds, in the process that answers requests. */
const pruneStepRows = 500;
const maxReasonCharacters = 256;

export class AuditLog implements Disposable {
  readonly #path: string;
  readonly #onTrouble: (sentence: string) => void;
  readonly #timer: Timer;
  #opened: { readonly database: Database; readonly file: Stats } | undefined;

  /** Without a disk to write to it is there all the same: reads go on, and changes are refused. */
  constructor(path: string, onTrouble: (sentence: string) => void) {
    this.#path = path;
    this.#onTrouble = onTrouble;
    this.#timer = setInterval(() => void this.prune(), pruneEveryMs);
    void this.prune();
  }

  /**
   * Throws what is wrong with it. Another file in its place is not opened: what was open has -wal and -shm files of the same
   * names, and deletes them when it is closed.
   */
  readonly database = (): Database => {
    const file = statSync(this.#path, { throwIfNoEntry: false });
    if (this.#opened === undefined) {
      const database = openDatabase(this.#path, { mode: "readwrite", schema: serviceSchema });
      this.#opened = { database, file: statSync(this.#path) };
    } else if (file?.ino !== this.#opened.file.ino || file.dev !== this.#opened.file.dev) {
      throw failedPrecondition(`${this.#path} was removed or replaced while snapmill runs: restart snapmill`);
    }
    return this.#opened.database;
  };

  /** Why changes cannot be recorded, as far as is known; null: they can. */
  readonly trouble = (): string | null => {
    try {
      return writeTrouble(this.database()) ?? null;
    } catch (error) {
      return asSnapmillError(error).message;
    }
  };

  /** On disk when it returns. Throws unavailable if that cannot be: what cannot be recorded must not be done. */
  begin(asked: AskedChange): AuditEntry {
    const number = this.#write(asked);
    let hasEnded = false;
    const end = ({ code, status, operationId }: Outcome): void => {
      if (hasEnded) return;
      hasEnded = true;
      const ended = { code, status, endedAtMs: Date.now(), ...(operationId !== undefined && { operationId }) };
      this.#tolerant("a change stays in the audit log as begun", () => endAudit(this.database(), number, ended));
    };
    return { end };
  }

  /** A change that was not begun. A failure to write it is told: nothing was done. */
  refuse(asked: AskedChange, outcome: Outcome): void {
    this.#tolerant("a refused change is missing in the audit log", () => this.begin(asked).end(outcome));
  }

  /** Drops what is too old, in steps with turns for requests in between. */
  async prune(bounds: AuditBounds = { sinceMs: Date.now() - auditKeptMs, rows: maxRows }): Promise<void> {
    const step = () => this.#isOpen && pruneAudit(this.database(), bounds, pruneStepRows) === pruneStepRows;
    // The first turn comes before the first step: nobody waits for it at the start.
    do await turn();
    while (this.#tolerant("the audit log could not be pruned", step) === true);
  }

  #isOpen = true;

  [Symbol.dispose](): void {
    this.#isOpen = false;
    clearInterval(this.#timer);
    this.#opened?.database.close();
  }

  #write({ caller, reason, given, operationId, path, ...asked }: AskedChange): number {
    try {
      return beginAudit(this.database(), {
        ...asked,
        ...caller,
        atMs: Date.now(),
        path: auditedText(path),
        reason: reason?.slice(0, maxReasonCharacters) ?? null,
        request: given === undefined ? null : auditedRequest(given),
        operationId: operationId ?? null,
      });
    } catch (error) {
      throw this.#unrecorded(asSnapmillError(error));
    }
  }

  #unrecorded({ message }: SnapmillError): SnapmillError {
    const because = message.includes(this.#path) ? message : `${this.#path}: ${message}`;
    const sentence = `changes over HTTP are refused: they cannot be recorded in the audit log (${because})`;
    this.#onTrouble(sentence);
    return unavailable(`${sentence}; make room on its disk, or mend what is named; commands on the pool's host work`);
  }

  #tolerant<T>(what: string, action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.#onTrouble(`${what}: ${asSnapmillError(error).message}`);
      return undefined;
    }
  }
}
