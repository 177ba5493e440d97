// Room: workers. Owns an unpack worker's side of cancelling: a signal for each job, from the thread that reads the database.
import { Worker } from "node:worker_threads";
import type { LogFormat } from "../src/config/schema.ts";
import { AbortReason, Canceller } from "../src/domain/cancellation.ts";
import type { OperationId } from "../src/domain/identifiers.ts";
import { startTimer } from "../src/domain/timers.ts";
import type { Logger } from "../src/logger.ts";

export interface CancelThreadOptions {
  readonly databasePath: string;
  /** How long the worker has from a cancellation to the end of the job. */
  readonly graceMs: number;
  readonly logFormat: LogFormat;
}

export type ToCancelThread =
  | { readonly type: "begun"; readonly operationId: OperationId }
  | { readonly type: "ended" }
  /** Ends the thread. */
  | { readonly type: "close" };

export type FromCancelThread =
  /** The first look at an operation has ended; it may have failed. */
  | { readonly type: "looked"; readonly operationId: OperationId }
  | { readonly type: "cancelled"; readonly operationId: OperationId }
  /** The database cannot be read, for the `failures`th time in a row; it is tried again `nextMs` later. */
  | { readonly type: "unreadable"; readonly failures: number; readonly nextMs: number; readonly reason: string };

const program = new URL("./cancel-thread.ts", import.meta.url);
/** The start of a job does not wait longer than this for the first look. */
const firstLookMs = 10_000;
const restartMs = 1_000;

export interface WatchedJob extends Disposable {
  /** Aborts with the reason `cancelled` once the caller's cancellation is in the database. */
  readonly signal: AbortSignal;
}

interface Current {
  readonly operationId: OperationId;
  readonly canceller: Canceller;
  readonly looked: PromiseWithResolvers<void>;
}

/**
 * Watches one job at a time. It is a thread that looks, so that a worker whose own thread spins or hangs in the kernel
 * is noticed: one that has not ended the job `graceMs` after its cancellation is ended by SIGKILL.
 */
export class CancelWatch implements Disposable {
  readonly #options: CancelThreadOptions;
  readonly #log: Logger;
  #thread: Worker | undefined;
  #current: Current | undefined;
  #isClosed = false;

  constructor(options: CancelThreadOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
  }

  /** Starts the thread, so that the first job does not wait for it. */
  start(): void {
    this.#thread ??= this.#startThread();
  }

  /** From now until it is disposed of. Returns after the first look, so that a cancelled job is not begun. */
  async watch(operationId: OperationId): Promise<WatchedJob> {
    const current: Current = { operationId, canceller: new Canceller(), looked: Promise.withResolvers() };
    this.#current = current;
    this.#begin(current);
    {
      using _late = startTimer(firstLookMs, () => current.looked.resolve());
      await current.looked.promise;
    }
    return {
      signal: current.canceller.signal,
      [Symbol.dispose]: () => {
        if (this.#current !== current) return;
        this.#current = undefined;
        this.#send({ type: "ended" });
      },
    };
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#send({ type: "close" });
  }

  #begin({ operationId }: Current): void {
    this.start();
    this.#send({ type: "begun", operationId });
  }

  #send(message: ToCancelThread): void {
    this.#thread?.postMessage(message);
  }

  #startThread(): Worker {
    const thread = new Worker(program, { workerData: this.#options });
    const ended = (reason: string) => {
      if (this.#thread !== thread) return;
      this.#thread = undefined;
      if (this.#isClosed) return;
      this.#log.warn(`the thread that looks for cancellations ended (${reason}); it is started again`);
      startTimer(restartMs, () => {
        if (this.#current !== undefined && !this.#isClosed) this.#begin(this.#current);
      }).unref();
    };
    thread.on("message", (message: FromCancelThread) => this.#receive(message));
    thread.on("error", (error: unknown) => ended(error instanceof Error ? error.message : String(error)));
    thread.on("exit", (code: number) => ended(`exit code ${code}`));
    thread.unref();
    return thread;
  }

  #receive(message: FromCancelThread): void {
    switch (message.type) {
      case "looked":
        if (this.#current?.operationId === message.operationId) this.#current.looked.resolve();
        break;
      case "cancelled":
        if (this.#current?.operationId !== message.operationId) return;
        this.#current.canceller.cancel(new AbortReason("cancelled", "cancelled by its caller"));
        break;
      case "unreadable":
        this.#log.warn(
          { failures: message.failures, nextMs: message.nextMs },
          `whether the job was cancelled cannot be read from the pool's database (${message.reason}); it is tried again`,
        );
    }
  }
}
