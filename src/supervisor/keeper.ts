// Room: supervisor. Owns one child: started, watched, started again when it dies, and stopped.
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { aborted, failedPrecondition, unavailable } from "../domain/errors.ts";
import { describeExit, type Exit, type RunningProcess, startProcess } from "../system/processes.ts";
import { recoveredAfterMs, restartDelayMs } from "./backoff.ts";
import { linesOf } from "./lines.ts";
import { parseAnnouncement } from "./ready.ts";

export type Child = RunningProcess<"ignore", "pipe", "inherit">;

/** What a keeper must know of its child. */
export interface ChildPlan {
  /** For logs and errors: "the pool worker". */
  readonly name: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** How long it may take to become usable; then it is killed and started again. */
  readonly readyWithinMs: number;
  /** What must be done before every start. */
  prepare?(): void;
  /** How one knows that it is usable: its own announcement on stdout (see ready.ts), or a question that it answers. */
  readonly readiness:
    | { readonly kind: "announced" }
    | { readonly kind: "probed"; readonly probe: (signal: AbortSignal) => Promise<void> };
}

export type KeeperState =
  | { readonly kind: "starting" }
  | { readonly kind: "ready"; readonly pid: number }
  /** Died, and will be started again. */
  | { readonly kind: "waiting"; readonly exit: Exit }
  | { readonly kind: "stopped" };

/** Keeps one child running from `start` to `stop`. */
export class Keeper {
  readonly #plan: ChildPlan;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #firstReady = Promise.withResolvers<void>();
  readonly #refused = Promise.withResolvers<never>();
  #state: KeeperState = { kind: "starting" };
  #child: Child | undefined;
  #wasReady = false;
  #ended: Promise<void> = Promise.resolve();

  constructor(plan: ChildPlan, log: Logger) {
    this.#plan = plan;
    this.#log = log;
    // Whoever is interested awaits them; that nobody is, is no crash.
    this.#firstReady.promise.catch(() => undefined);
    this.#refused.promise.catch(() => undefined);
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  get state(): KeeperState {
    return this.#state;
  }

  /** Rejects when the child says that it can never work. Never resolves. */
  get refused(): Promise<never> {
    return this.#refused.promise;
  }

  /** Starts the child and keeps it; resolves when it is usable for the first time, rejects when it never will be. */
  start(): Promise<void> {
    this.#ended = this.#keep();
    return this.#firstReady.promise;
  }

  /** Ends the child for good: SIGTERM, and SIGKILL when it takes longer than its grace. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#firstReady.reject(aborted(`${this.#plan.name} was stopped before it was ready`));
    const exit = await this.#child?.stop({ graceMs: this.#plan.graceMs });
    await this.#ended;
    this.#state = { kind: "stopped" };
    if (exit?.kind === "killed" && exit.signal === "SIGKILL") {
      this.#log.warn(`${this.#plan.name} did not stop within ${this.#plan.graceMs} ms and was killed`);
    }
  }

  async #keep(): Promise<void> {
    let deaths = 0;
    while (!this.#isStopping) {
      const startedAtMs = performance.now();
      let exit: Exit;
      try {
        exit = await this.#live();
      } catch (error) {
        if (!this.#isStopping) this.#giveUp(error);
        return;
      }
      if (this.#isStopping) return;
      deaths = performance.now() - startedAtMs > recoveredAfterMs ? 1 : deaths + 1;
      if (!this.#wasReady && deaths === maxEarlyDeaths) {
        const { name } = this.#plan;
        this.#giveUp(unavailable(`${name} ${describeExit(exit)} ${deaths} times before it was ready: see the log`));
        return;
      }
      const delayMs = restartDelayMs(deaths);
      this.#state = { kind: "waiting", exit };
      this.#log.warn({ deaths, delayMs }, `${this.#plan.name} ${describeExit(exit)}; starting it again`);
      await delay(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** One life of the child, and how it ended. Throws when another one would be no better. */
  async #live(): Promise<Exit> {
    const { name, argv, environment, graceMs } = this.#plan;
    this.#state = { kind: "starting" };
    this.#plan.prepare?.();
    const child = startProcess(argv, { environment, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    this.#child = child;
    try {
      await this.#becomeReady(child);
      this.#wasReady = true;
      this.#state = { kind: "ready", pid: child.pid };
      this.#log.info({ pid: child.pid }, `${name} is ready`);
      this.#firstReady.resolve();
    } catch (error) {
      const exit = await child.stop({ graceMs });
      if (!(error instanceof NotYet)) throw error;
      if (exit.kind === "exited" && exit.code === notFoundStatus) {
        throw failedPrecondition(`the program of ${name} was not found: install it (scripts/setup.sh run)`);
      }
      if (!this.#isStopping) this.#log.warn(error.message);
    } finally {
      // `stop` ends a child that is usable or on its way.
      void child.exited.then(() => {
        if (this.#child === child) this.#child = undefined;
      });
    }
    return await child.exited;
  }

  #giveUp(error: unknown): void {
    this.#state = { kind: "stopped" };
    this.#firstReady.reject(error);
    this.#refused.reject(error);
  }

  /** Throws NotYet when the child dies first or takes too long, and its refusal when it announces one. */
  async #becomeReady(child: Child): Promise<void> {
    const { name, readiness, readyWithinMs } = this.#plan;
    const announced = Promise.withResolvers<void>();
    const reading = this.#read(child, announced);
    const died = Promise.race([reading, child.exited.then(() => delay(lastWordsMs))]).then(() => {
      throw new NotYet(`${name} ended before it was ready`);
    });
    const over = new AbortController();
    const late = delay(readyWithinMs, undefined, { signal: over.signal }).then(() => {
      throw new NotYet(`${name} was not ready after ${readyWithinMs} ms`);
    });
    const usable = readiness.kind === "announced" ? announced.promise : readiness.probe(over.signal);
    for (const promise of [announced.promise, died, late, usable]) promise.catch(() => undefined);
    try {
      await Promise.race([usable, died, late]);
    } finally {
      over.abort();
    }
  }

  /** Reads what the child says, to the end: a full pipe would stop it. */
  async #read(child: Child, announced: PromiseWithResolvers<void>): Promise<void> {
    for await (const line of linesOf(child.stdout)) {
      const said = this.#plan.readiness.kind === "announced" ? parseAnnouncement(line) : chatter(line);
      switch (said.kind) {
        case "ready":
          announced.resolve();
          break;
        case "refused":
          announced.reject(said.error);
          break;
        case "chatter":
          this.#log.info(`${this.#plan.name}: ${said.text}`);
      }
    }
  }
}

/** A child that dies this often before it was ever ready will not get better by itself. */
const maxEarlyDeaths = 5;

/** The shell's status for a program that does not exist. */
const notFoundStatus = 127;

const chatter = (text: string) => ({ kind: "chatter", text }) as const;

/** How long after a child's end its last line is waited for. */
const lastWordsMs = 500;

/** The child died or was too slow: another start may help. */
class NotYet extends Error {
  override readonly name = "NotYet";
}
