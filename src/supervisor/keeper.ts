// Room: supervisor. Owns one child: started, watched, started again when it dies, and stopped.
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { aborted, failedPrecondition, unavailable } from "../domain/errors.ts";
import { linesOf } from "../system/lines.ts";
import { describeExit, type Exit, type RunningProcess, startProcess } from "../system/processes.ts";
import { recoveredAfterMs, restartDelayMs } from "./backoff.ts";
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
  /**
   * Only its next life tidies up what it leaves behind when it is killed: when it does not end with status 0, `stop`
   * gives it that life.
   */
  readonly endsInOrder?: boolean;
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
  readonly #stopping = new Canceller();
  readonly #firstReady = Promise.withResolvers<void>();
  readonly #refused = Promise.withResolvers<never>();
  #state: KeeperState = { kind: "starting" };
  #child: Child | undefined;
  #wasReady = false;
  #gaveUp = false;
  #lastWords = "it said nothing";
  #ended: Promise<void> = Promise.resolve();

  constructor(plan: ChildPlan, log: Logger) {
    this.#plan = plan;
    this.#log = log;
    // Whoever is interested awaits them; that nobody is, is no crash.
    this.#firstReady.promise.catch(() => undefined);
    this.#refused.promise.catch(() => undefined);
  }

  get #isStopping(): boolean {
    return this.#stopping.isCancelled;
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
    this.#stopping.cancel(new AbortReason("stopping", `${this.#plan.name} is being stopped`));
    this.#firstReady.reject(aborted(`${this.#plan.name} was stopped before it was ready`));
    const exit = await this.#child?.stop({ graceMs: this.#plan.graceMs });
    await this.#ended;
    const endedInOrder = exit?.kind === "exited" && exit.code === 0;
    if (this.#plan.endsInOrder === true && this.#wasReady && !this.#gaveUp && !endedInOrder) await this.#tidyUp();
    this.#state = { kind: "stopped" };
    if (exit?.kind === "killed" && exit.signal === "SIGKILL") {
      this.#log.warn(`${this.#plan.name} did not stop within ${this.#plan.graceMs} ms and was killed`);
    }
  }

  /** One more life, only to be ended in order. */
  async #tidyUp(): Promise<void> {
    const { name, graceMs } = this.#plan;
    this.#log.info(`${name} did not end in order: starting it again to tidy up`);
    const child = this.#spawn();
    try {
      await Promise.race([this.#becomeReady(child), delay(recoverWithinMs)]);
    } catch (error) {
      this.#log.warn({ err: error }, `${name} could not tidy up; the next start will`);
    }
    await child.stop({ graceMs });
  }

  async #keep(): Promise<void> {
    try {
      await this.#liveOnAndOn();
    } catch (error) {
      if (!this.#isStopping) this.#giveUp(error);
    }
  }

  async #liveOnAndOn(): Promise<void> {
    const { name } = this.#plan;
    let deaths = 0;
    while (!this.#isStopping) {
      const startedAtMs = performance.now();
      const exit = await this.#live();
      if (this.#isStopping) return;
      deaths = performance.now() - startedAtMs > recoveredAfterMs ? 1 : deaths + 1;
      if (!this.#wasReady && deaths === maxEarlyDeaths) {
        throw unavailable(`${name} ${describeExit(exit)} ${deaths} times before it was ready: ${this.#lastWords}`);
      }
      const delayMs = restartDelayMs(deaths);
      this.#state = { kind: "waiting", exit };
      this.#log.warn({ deaths, delayMs }, `${name} ${describeExit(exit)}; starting it again`);
      await delay(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** One life of the child, and how it ended. Throws when another one would be no better. */
  async #live(): Promise<Exit> {
    const { name, graceMs } = this.#plan;
    this.#state = { kind: "starting" };
    const child = this.#spawn();
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
        throw failedPrecondition(
          `the program of ${name} was not found: install it, or start snapmill by its launcher (./snapmill in a checkout), which provides it`,
        );
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

  #spawn(): Child {
    const { argv, environment } = this.#plan;
    this.#plan.prepare?.();
    return startProcess(argv, { environment, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  }

  #giveUp(error: unknown): void {
    this.#gaveUp = true;
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
    const over = new Canceller();
    const late = delay(readyWithinMs, undefined, { signal: over.signal }).then(() => {
      throw new NotYet(`${name} was not ready after ${readyWithinMs} ms`);
    });
    const usable = readiness.kind === "announced" ? announced.promise : readiness.probe(over.signal);
    for (const promise of [announced.promise, died, late, usable]) promise.catch(() => undefined);
    try {
      await Promise.race([usable, died, late]);
    } finally {
      over.cancel(new AbortReason("over", `${name} is waited for no longer`));
    }
  }

  /** What a child says on its way up is of interest only when it does not arrive. */
  #hear(text: string): void {
    const sentence = text.replace(redisPrefix, "").trim();
    if (sentence === "") return;
    this.#lastWords = sentence;
    this.#log[this.#state.kind === "ready" ? "info" : "debug"](`${this.#plan.name}: ${sentence}`);
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
          this.#hear(said.text);
      }
    }
  }
}

/** A child that dies this often before it was ever ready will not get better by itself. */
const maxEarlyDeaths = 5;

/** How long a child may take to get ready for tidying up. */
const recoverWithinMs = 10_000;

/** The shell's status for a program that does not exist. */
const notFoundStatus = 127;

/** What redis-server puts before each of its sentences: process, role, time, level. */
const redisPrefix = /^\d+:\S+ (?:\d+ \w+ \d+ [\d:.]+|\(\d+\) ?)? ?[-.*#] ?/;

const chatter = (text: string) => ({ kind: "chatter", text }) as const;

/** How long after a child's end its last line is waited for. */
const lastWordsMs = 500;

/** The child died or was too slow: another start may help. */
class NotYet extends Error {
  override readonly name = "NotYet";
}
