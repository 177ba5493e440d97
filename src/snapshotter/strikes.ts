// Room: snapshotter. Owns the guard against operations that kill their worker: at the second death, an operation is set
// aside.
import { internal, type SnapmillError } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { type Database, transact } from "../metadata/database.ts";
import type { Request } from "../metadata/journal.ts";
import { addStrikes, forgetStrikes, listStrikes, maxDeaths, type Struck } from "../metadata/strikes.ts";

/** Knows what the operation queue is executing, and which operations it must not execute again. */
export interface CrashGuard {
  /** Called before and after each round, with the operations whose code may run until the next call. */
  hold(requests: readonly Request[]): void;
  /** Whether a worker died while it executed the operation. It then runs alone, so that no other becomes suspect with it. */
  isSuspect(operationId: OperationId): boolean;
  /** Why the operation must not be executed; undefined: it may be. */
  refusal(operationId: OperationId): SnapmillError | undefined;
  /** Called once the pool is ours, before anything is executed; returns sentences for the log. */
  settle(): readonly string[];
  /** Allows everything that was set aside to be tried again. */
  forgive(): void;
}

/** Keeps one line that outlives the process: see system/file/note.ts. */
export interface NotePad {
  write(line: string): void;
}

export interface CrashGuardOptions {
  readonly database: Database;
  /** Identifies the process that started this worker, also among processes that have ended. */
  readonly parent: string;
  readonly note: NotePad;
  /** What the note contained when this worker started. */
  readonly left: string | undefined;
}

/** What the line of the note contains. */
interface NotedExecution {
  /** A fresh ID for each worker process. */
  readonly run: string;
  readonly parent: string;
  readonly operations: readonly Struck[];
}

export class NotedCrashGuard implements CrashGuard {
  readonly #database: Database;
  readonly #note: NotePad;
  readonly #run = crypto.randomUUID();
  readonly #parent: string;
  #left: NotedExecution | undefined;
  #deaths: ReadonlyMap<OperationId, number> | undefined;
  #isEmpty = false;

  constructor({ database, parent, note, left }: CrashGuardOptions) {
    this.#database = database;
    this.#parent = parent;
    this.#note = note;
    // A worker that died together with its parent did not die of what it was executing.
    const found = parse(left);
    this.#left = found?.parent === parent ? found : undefined;
  }

  /** Counts the last worker's death, once; returns sentences for the log. It writes: the pool must be ours. */
  settle(): string[] {
    const left = this.#left;
    if (left !== undefined) transact(this.#database, () => addStrikes(this.#database, left.run, left.operations));
    this.#left = undefined;
    this.#read();
    return (left?.operations ?? []).map(({ operationId, job }) => {
      const deaths = this.#deaths?.get(operationId) ?? 1;
      const consequence = deaths < maxDeaths ? "it is tried once more" : "it is set aside, and not tried again";
      return `operation ${operationId} (${job}) was being executed when the worker died (death ${deaths}): ${consequence}`;
    });
  }

  #read(): void {
    this.#deaths = new Map(listStrikes(this.#database).map(({ operationId, deaths }) => [operationId, deaths]));
  }

  hold(requests: readonly Request[]): void {
    if (requests.length === 0 && this.#isEmpty) return;
    const operations = requests.map(({ operationId, job }): Struck => ({ operationId, job }));
    this.#note.write(JSON.stringify({ run: this.#run, parent: this.#parent, operations } satisfies NotedExecution));
    this.#isEmpty = requests.length === 0;
  }

  forgive(): void {
    transact(this.#database, () => forgetStrikes(this.#database));
    this.#read();
  }

  isSuspect(operationId: OperationId): boolean {
    return this.#deaths?.has(operationId) ?? false;
  }

  refusal(operationId: OperationId): SnapmillError | undefined {
    const deaths = this.#deaths?.get(operationId) ?? 0;
    if (deaths < maxDeaths) return undefined;
    return internal(
      `operation ${operationId} was set aside, since ${deaths} workers of the pool died while they executed it: ` +
        "ask again under another operation ID, or run 'snapmill cleanup' to have it tried again",
    );
  }
}

/** For an operation queue whose worker keeps no note. */
export const noCrashGuard: CrashGuard = {
  hold: () => undefined,
  isSuspect: () => false,
  refusal: () => undefined,
  settle: () => [],
  forgive: () => undefined,
};

function parse(line: string | undefined): NotedExecution | undefined {
  try {
    const { run, parent, operations } = JSON.parse(line ?? "") as Partial<NotedExecution>;
    if (typeof run !== "string" || typeof parent !== "string") return undefined;
    return Array.isArray(operations) && operations.length > 0 ? { run, parent, operations } : undefined;
  } catch {
    return undefined;
  }
}
