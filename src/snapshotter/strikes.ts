// Room: snapshotter. Owns what becomes of operations that were being executed when a worker died: at the second death of
// one, it is set aside, so that it cannot take every worker with it.
import { internal, type SnapmillError } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { type Database, transact } from "../metadata/database.ts";
import type { Request } from "../metadata/journal.ts";
import { addStrikes, forgetStrikes, listStrikes, maxDeaths, type Struck } from "../metadata/strikes.ts";

/** How the lane says what it has in hand, and what it must not take in hand again. */
export interface Hands {
  /** Called before and after each round, with all whose code may run until the next call. */
  hold(requests: readonly Request[]): void;
  /** Whether a worker died with the operation in hand: it is then executed alone, so that no other is suspected with it. */
  isSuspect(operationId: OperationId): boolean;
  /** Why it is executed no more; undefined: it may be. */
  refusal(operationId: OperationId): SnapmillError | undefined;
  /** Called when the pool is ours, before anything is executed; what is to be said, a sentence each. */
  settle(): readonly string[];
  /** Whatever was set aside may be tried again. */
  forgive(): void;
}

/** Where a line is written that outlives the process: see system/file/note.ts. */
export interface NotePad {
  write(line: string): void;
}

export interface HandsOptions {
  readonly database: Database;
  /** Names the process that started this worker, among all that ever ran. */
  readonly parent: string;
  readonly note: NotePad;
  /** What the note held when this worker began. */
  readonly left: string | undefined;
}

/** What a line of the note holds. */
interface InHand {
  /** Of one worker's life. */
  readonly run: string;
  readonly parent: string;
  readonly operations: readonly Struck[];
}

export class NotedHands implements Hands {
  readonly #database: Database;
  readonly #note: NotePad;
  readonly #run = crypto.randomUUID();
  readonly #parent: string;
  #left: InHand | undefined;
  #deaths: ReadonlyMap<OperationId, number> | undefined;
  #isEmpty = false;

  constructor({ database, parent, note, left }: HandsOptions) {
    this.#database = database;
    this.#parent = parent;
    this.#note = note;
    // A worker that died with the process that had started it tells nothing of what it was executing.
    const found = parse(left);
    this.#left = found?.parent === parent ? found : undefined;
  }

  /** Counts the last worker's death, once; what is to be said of it, a sentence each. Writes: the pool must be owned. */
  settle(): string[] {
    const left = this.#left;
    if (left !== undefined) transact(this.#database, () => addStrikes(this.#database, left.run, left.operations));
    this.#left = undefined;
    this.#read();
    return (left?.operations ?? []).map(({ operationId, job }) => {
      const deaths = this.#deaths?.get(operationId) ?? 1;
      const consequence = deaths < maxDeaths ? "it is tried once more" : "it is set aside, and tried no more";
      return `operation ${operationId} (${job}) was being executed when the worker died (death ${deaths}): ${consequence}`;
    });
  }

  #read(): void {
    this.#deaths = new Map(listStrikes(this.#database).map(({ operationId, deaths }) => [operationId, deaths]));
  }

  hold(requests: readonly Request[]): void {
    if (requests.length === 0 && this.#isEmpty) return;
    const operations = requests.map(({ operationId, job }): Struck => ({ operationId, job }));
    this.#note.write(JSON.stringify({ run: this.#run, parent: this.#parent, operations } satisfies InHand));
    this.#isEmpty = requests.length === 0;
  }

  /** Whatever was set aside may be tried again. */
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
      `operation ${operationId} was being executed each time when ${deaths} workers of the pool died: it was set aside; ` +
        "ask anew under another operation ID, or have it tried again by 'snapmill cleanup'",
    );
  }
}

/** Nothing, for a lane whose worker keeps no note. */
export const noHands: Hands = {
  hold: () => undefined,
  isSuspect: () => false,
  refusal: () => undefined,
  settle: () => [],
  forgive: () => undefined,
};

function parse(line: string | undefined): InHand | undefined {
  try {
    const { run, parent, operations } = JSON.parse(line ?? "") as Partial<InHand>;
    if (typeof run !== "string" || typeof parent !== "string") return undefined;
    return Array.isArray(operations) && operations.length > 0 ? { run, parent, operations } : undefined;
  } catch {
    return undefined;
  }
}
