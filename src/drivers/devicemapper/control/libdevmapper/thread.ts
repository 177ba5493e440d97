// Room: drivers. Owns the thread in which libdevmapper is called, and its replacement when the kernel blocks it.
import { Worker } from "node:worker_threads";
import { aborted, deadlineExceeded, decodeFailure, internal, unavailable } from "../../../../domain/errors.ts";
import { startTimer } from "../../../../domain/timers.ts";
import type { Libdevmapper } from "./calls.ts";
import type { DmCall, DmReply, DmVerb, ToDmThread } from "./messages.ts";

const program = new URL("../../../../../workers/dm-thread.ts", import.meta.url);
const startTimeoutMs = 60_000;
const closeTimeoutMs = 5000;

export type Refused = Extract<DmReply, { readonly kind: "refused" }>;
type Outcome = Refused | Extract<DmReply, { readonly kind: "answered" | "failed" }>;
type Answer<Verb extends DmVerb> = ReturnType<Libdevmapper[Verb]>;

/** Calls libdevmapper, one call after the other. The thread is started with the first, and does not outlive the process. */
export class LibdevmapperThread implements AsyncDisposable {
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  #running: RunningThread | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(timeoutMs: number, signal: AbortSignal | undefined) {
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
  }

  /**
   * The answer of Libdevmapper's method, `onRefusal`'s error when device-mapper refuses. `deadline_exceeded` when the
   * call did not return in time, `aborted` when the signal came before it did: the effect is then unknown, and the
   * next call gets another thread.
   */
  call<Verb extends DmVerb>(
    onRefusal: (refused: Refused) => Error,
    verb: Verb,
    ...args: Parameters<Libdevmapper[Verb]>
  ): Promise<Answer<Verb>> {
    const answer = this.#turn.then(async () => {
      const reply = await this.#ask({ verb, args });
      switch (reply.kind) {
        case "answered":
          return reply.answer as Answer<Verb>;
        case "refused":
          throw onRefusal(reply);
        case "failed":
          throw decodeFailure(reply.failure);
      }
    });
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  /** Gives the library back, after the calls under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#running?.close();
    this.#running = undefined;
  }

  async #ask(call: DmCall): Promise<Outcome> {
    const what = `device-mapper's ${call.verb} ${call.args.filter((word) => typeof word === "string").join(" ")}`;
    this.#throwIfCancelled(what);
    const thread = await this.#thread();
    this.#throwIfCancelled(what);
    const ended = Promise.withResolvers<"late" | "cancelled">();
    using _timer = startTimer(this.#timeoutMs, () => ended.resolve("late"));
    const cancel = () => ended.resolve("cancelled");
    this.#signal?.addEventListener("abort", cancel, { once: true });
    try {
      const reply = await Promise.race([thread.ask(call), ended.promise]);
      if (typeof reply !== "string") return reply;
      this.#running = undefined;
      thread.giveUp();
      if (reply === "cancelled") throw aborted(`${what} was cancelled; its effect is unknown`);
      throw deadlineExceeded(`${what} did not end within ${this.#timeoutMs} ms; its effect is unknown`);
    } finally {
      this.#signal?.removeEventListener("abort", cancel);
    }
  }

  #throwIfCancelled(what: string): void {
    if (this.#signal?.aborted === true) throw aborted(`${what} was cancelled before it was begun`);
  }

  async #thread(): Promise<RunningThread> {
    if (this.#running?.hasEnded === true) this.#running = undefined;
    this.#running ??= new RunningThread();
    const thread = this.#running;
    const isReady = await within(startTimeoutMs, thread.ready);
    if (isReady) return thread;
    this.#running = undefined;
    thread.giveUp();
    throw unavailable(`the thread for libdevmapper did not start within ${startTimeoutMs} ms`);
  }
}

/** One thread, for one call at a time. It keeps the process alive only during a call. */
class RunningThread {
  readonly #worker = new Worker(program);
  readonly #started = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #asked: PromiseWithResolvers<Outcome> | undefined;
  hasEnded = false;

  constructor() {
    this.#worker.on("message", (reply: DmReply) => this.#receive(reply));
    this.#worker.on("error", (error: unknown) => this.#end(error instanceof Error ? error.message : String(error)));
    this.#worker.on("exit", (code: number) => this.#end(`exit code ${code}`));
    this.#started.promise.catch(() => undefined);
    this.#send("open");
  }

  /** The thread takes messages, and the library is loaded: from here on, what takes time is the kernel. */
  get ready(): Promise<void> {
    return this.#started.promise;
  }

  async ask(call: DmCall): Promise<Outcome> {
    const asked = Promise.withResolvers<Outcome>();
    this.#asked = asked;
    this.#worker.ref();
    this.#send(call);
    return asked.promise;
  }

  /** The thread ends when the call returns: to end it now would have C return into memory that is freed. */
  giveUp(): void {
    this.#asked = undefined;
    this.#send("close");
    this.#worker.unref();
  }

  async close(): Promise<void> {
    this.#send("close");
    await within(closeTimeoutMs, this.#closed.promise);
  }

  #send(message: ToDmThread): void {
    this.#worker.postMessage(message);
  }

  #receive(reply: DmReply): void {
    switch (reply.kind) {
      case "ready":
        this.#worker.unref();
        this.#started.resolve();
        return;
      case "unusable":
        this.#worker.unref();
        this.#started.reject(decodeFailure(reply.failure));
        this.#send("close");
        return;
      case "closed":
        this.hasEnded = true;
        this.#closed.resolve();
        void this.#worker.terminate();
        return;
      case "answered":
      case "refused":
      case "failed":
        this.#asked?.resolve(reply);
        this.#asked = undefined;
        this.#worker.unref();
    }
  }

  #end(reason: string): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    const failure = internal(`the thread that calls libdevmapper ended (${reason}); the effect is unknown`);
    this.#started.reject(failure);
    this.#asked?.reject(failure);
    this.#closed.resolve();
  }
}

/** Whether `promise` was fulfilled in time. */
async function within(timeoutMs: number, promise: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  using _timer = startTimer(timeoutMs, () => resolve(false));
  return await Promise.race([promise.then(() => true), late]);
}
