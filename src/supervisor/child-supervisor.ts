// Room: supervisor. Owns one child process: starts it, watches it, restarts it when it dies or hangs, and stops it.
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { type Backoff, pauseAfterMs } from "../domain/backoff.ts";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { aborted, failedPrecondition, type SnapmillError, unavailable } from "../domain/errors.ts";
import { Ledger } from "../domain/tally.ts";
import { linesOf } from "../system/process/lines.ts";
import {
  describeExit,
  type Exit,
  endSession,
  type Left,
  type RunningProcess,
  startProcess,
} from "../system/process/processes.ts";
import type { ChildPlan, ChildState, Component } from "./child-plan.ts";
import { Pulse, replaceIfHung, troubleOf } from "./hang-detection.ts";
import { chatterOf, NotYet, parseAnnouncement } from "./ready.ts";

export type Child = RunningProcess<"ignore", "pipe", "inherit">;

/** The pause between a child's death and its next start. */
const backoff: Backoff = { firstMs: 100, capMs: 30_000 };
/** A child that has run for this long has recovered: its next death counts as the first one. */
const recoveredAfterMs = 30_000;

/** Keeps one child running from `start` to `stop`. */
export class ChildSupervisor {
  readonly #plan: ChildPlan;
  readonly #log: Logger;
  readonly #stopping = new Canceller();
  readonly #firstReady = Promise.withResolvers<void>();
  readonly #refused = Promise.withResolvers<never>();
  /** Resolves when `stop` has given up on a child that does not end. */
  readonly #abandoned = Promise.withResolvers<"abandoned">();
  #state: ChildState = { kind: "starting" };
  #child: Child | undefined;
  #pulse: Pulse | undefined;
  #complaint: string | undefined;
  #wasReady = false;
  #restarts = 0;
  #gaveUp = false;
  #lastWords = silence;
  /** The refusal that the running child has announced, if any. */
  #refusal: SnapmillError | undefined;
  /** Reads the running child's stdout. */
  #reading: Promise<void> = Promise.resolve();
  #ended: Promise<void> = Promise.resolve();

  constructor(plan: ChildPlan, log: Logger) {
    this.#plan = plan;
    this.#log = log;
    // An unhandled rejection would end the process.
    this.#firstReady.promise.catch(() => undefined);
    this.#refused.promise.catch(() => undefined);
  }

  get #isStopping(): boolean {
    return this.#stopping.isCancelled;
  }

  get state(): ChildState {
    return this.#state;
  }

  /** A sentence that says why a running child does not work, or not properly; undefined if all is well. */
  get trouble(): string | undefined {
    if (this.#state.kind !== "ready") return undefined;
    const trouble = troubleOf(this.#state.pid, this.#pulse?.silentMs ?? 0) ?? this.#complaint;
    return trouble === undefined ? undefined : `${this.#plan.name} ${trouble}`;
  }

  /** Time since the child's last heartbeat; undefined if it sends none. */
  get silentMs(): number | undefined {
    return this.#pulse?.silentMs;
  }

  get component(): Component {
    return { component: this.#plan.component, pid: this.#child?.pid, restarts: this.#restarts };
  }

  /** Rejects when the child announces that it can never work. Never resolves. */
  get refused(): Promise<never> {
    return this.#refused.promise;
  }

  /** Starts the child and keeps it running. Resolves when it is first usable; rejects if it never will be. */
  start(): Promise<void> {
    this.#ended = this.#keep();
    return this.#firstReady.promise;
  }

  /**
   * Ends the child: SIGTERM, then SIGKILL after `graceMs`. Never rejects, takes bounded time, and returns the processes
   * that are still there afterwards.
   */
  async stop(): Promise<readonly Left[]> {
    this.#stopping.cancel(new AbortReason("stopping", `${this.#plan.name} is being stopped`));
    this.#firstReady.reject(aborted(`${this.#plan.name} was stopped before it was ready`));
    const child = this.#child;
    const exit = await child?.stop({ graceMs: this.#plan.graceMs });
    if (exit?.kind === "left") {
      this.#abandoned.resolve("abandoned");
      this.#log.error(`${this.#plan.name} ${describeExit(exit)}`);
    }
    await this.#ended;
    const endedInOrder = exit?.kind === "exited" && exit.code === 0;
    const left = [
      ...(exit?.kind === "left" ? [{ ...exit, reason: `${this.#plan.name}: ${exit.reason}` }] : []),
      ...(child === undefined ? [] : await endSession(child.pid)),
    ];
    const wasKilled = exit?.kind === "killed" && exit.signal === "SIGKILL";
    const mayHaveBegun = this.#wasReady || wasKilled;
    const isToTidyUp = this.#plan.endsInOrder === true && mayHaveBegun && !this.#gaveUp && !endedInOrder;
    if (isToTidyUp && left.length === 0) left.push(...(await this.#tidyUp()));
    this.#state = { kind: "stopped" };
    if (wasKilled) {
      this.#log.warn(`${this.#plan.name} did not stop within ${this.#plan.graceMs} ms and was killed`);
    }
    return left;
  }

  /** Starts the child once more, only to shut it down in order. */
  async #tidyUp(): Promise<readonly Left[]> {
    const { name, graceMs } = this.#plan;
    this.#log.info(`${name} did not shut down in order: starting it once more to clean up`);
    const child = this.#spawn();
    try {
      await Promise.race([this.#becomeReady(child), delay(recoverWithinMs)]);
    } catch (error) {
      this.#log.warn({ err: error }, `${name} could not clean up; the next start will`);
    }
    const exit = await child.stop({ graceMs });
    return exit.kind === "left" ? [exit] : await endSession(child.pid);
  }

  async #keep(): Promise<void> {
    try {
      await this.#liveOnAndOn();
    } catch (error) {
      if (!this.#isStopping) this.#giveUp(error);
    }
  }

  async #liveOnAndOn(): Promise<void> {
    const firstStartMs = performance.now();
    let deaths = 0;
    while (!this.#isStopping) {
      const startedAtMs = performance.now();
      const exit = await this.#live();
      if (this.#isStopping || exit === "abandoned") return;
      deaths = performance.now() - startedAtMs > recoveredAfterMs ? 1 : deaths + 1;
      const cleared = this.#state.kind === "ready" ? undefined : this.#plan.clearTheWay?.(this.#lastWords);
      if (cleared !== undefined) {
        this.#log.warn(cleared);
        deaths = 1;
      } else if (!this.#wasReady) this.#bearWith(exit, deaths, performance.now() - firstStartMs);
      await this.#waitAfter(exit, deaths);
    }
  }

  /** Throws if a child that was never ready has died too often, or has been tried for too long. */
  #bearWith(exit: Exit, deaths: number, triedMs: number): void {
    if (deaths < maxEarlyDeaths && (deaths < 2 || triedMs < bornWithinMs)) return;
    const how = `${this.#plan.name} ${describeExit(exit)} ${deaths} times before it was ready`;
    throw unavailable(`${how}: ${this.#lastWords}`);
  }

  async #waitAfter(exit: Exit, deaths: number): Promise<void> {
    const delayMs = pauseAfterMs(backoff, deaths);
    const why = this.#lastWords === silence ? "" : `: ${this.#lastWords}`;
    this.#state = { kind: "waiting", exit };
    this.#log.warn({ deaths, delayMs }, `${this.#plan.name} ${describeExit(exit)}${why}; restarting it`);
    await delay(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    if (!this.#isStopping) this.#restarts += 1;
  }

  /** Runs the child once and returns how it ended. Throws if a restart would not help. */
  async #live(): Promise<Exit | "abandoned"> {
    this.#state = { kind: "starting" };
    this.#complaint = undefined;
    this.#lastWords = silence;
    const child = this.#spawn();
    this.#child = child;
    const gone = Promise.race([child.exited, this.#abandoned.promise]);
    try {
      if ((await Promise.race([this.#becomeReady(child), this.#abandoned.promise])) === "abandoned") return "abandoned";
      this.#wasReady = true;
      this.#state = { kind: "ready", pid: child.pid };
      // What it said of its start is not why it ends later.
      this.#lastWords = silence;
      this.#log.info({ pid: child.pid }, `${this.#plan.name} is ready`);
      this.#firstReady.resolve();
    } catch (error) {
      await this.#endUnready(child, error);
    }
    using _watch = this.#state.kind === "ready" ? this.#watch(child) : undefined;
    const exit = await gone;
    // `stop` ends a child that is starting or ready; this one has gone.
    this.#child = undefined;
    if (exit === "abandoned") return exit;
    this.#report(await endSession(child.pid));
    await Promise.race([this.#reading, delay(lastWordsMs)]);
    if (this.#refusal !== undefined) throw this.#refusal;
    return exit;
  }

  /** Ends a child that did not become usable. Throws if a restart would not help. */
  async #endUnready(child: Child, error: unknown): Promise<void> {
    const { name, graceMs } = this.#plan;
    const exit = await child.stop({ graceMs });
    if (!(error instanceof NotYet)) throw error;
    if (exit.kind === "exited" && exit.code === notFoundStatus) {
      throw failedPrecondition(
        `the program of ${name} is not on the PATH: install it, or, in a checkout, start snapmill by ./snapmill, which provides it`,
      );
    }
    if (!this.#isStopping) this.#log.warn(error.message);
    // The next child could not get what this one still holds, so the caller waits for its end.
    if (exit.kind === "left") this.#log.error(`${name} ${describeExit(exit)}`);
  }

  #report(left: readonly Left[]): void {
    for (const process of left)
      this.#log.error(`a process that ${this.#plan.name} had started ${describeExit(process)}`);
  }

  #watch(child: Child): Disposable | undefined {
    const { name, hungAfterMs } = this.#plan;
    if (hungAfterMs === undefined) return undefined;
    this.#pulse = new Pulse(child.pid, hungAfterMs);
    const watch = replaceIfHung(name, child, this.#pulse, this.#log);
    return {
      [Symbol.dispose]: () => {
        watch[Symbol.dispose]();
        this.#pulse = undefined;
      },
    };
  }

  #spawn(): Child {
    this.#refusal = undefined;
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

  /** Throws NotYet if the child dies first or takes too long, and the child's refusal if it announces one. */
  async #becomeReady(child: Child): Promise<void> {
    const { name, readiness, readyWithinMs } = this.#plan;
    const announced = Promise.withResolvers<void>();
    this.#reading = this.#read(child, announced);
    const died = Promise.race([this.#reading, child.exited.then(() => delay(lastWordsMs))]).then(() => {
      throw new NotYet(`${name} ended before it was ready`);
    });
    const over = new Canceller();
    const late = delay(readyWithinMs, undefined, { signal: over.signal }).then(() => {
      throw new NotYet(`${name} was not ready after ${readyWithinMs} ms`);
    });
    const usable = readiness.kind === "announced" ? announced.promise : readiness.probe(over.signal);
    for (const promise of [announced.promise, died, late, usable]) promise.catch(() => undefined);
    const startMs = performance.now();
    const patience = setInterval(() => {
      const triedS = Math.round((performance.now() - startMs) / 1_000);
      this.#log.warn(`${name} is not ready after ${triedS} s; still waiting: ${this.#lastWords}`);
    }, tellWaitingEveryMs);
    try {
      await Promise.race([usable, died, late]);
    } finally {
      clearInterval(patience);
      over.cancel(new AbortReason("over", `the wait for ${name} is over`));
    }
  }

  /** What a child prints before it is ready is of interest only if it never becomes ready. */
  #hear(text: string): void {
    if (text === "") return;
    this.#lastWords = text;
    this.#log[this.#state.kind === "ready" ? "info" : "debug"](`${this.#plan.name}: ${text}`);
  }

  /** Reads the child's stdout to the end: a full pipe would block the child. */
  async #read(child: Child, announced: PromiseWithResolvers<void>): Promise<void> {
    const ledger = this.#plan.totals && new Ledger(this.#plan.totals);
    for await (const line of linesOf(child.stdout)) {
      const said = this.#plan.readiness.kind === "announced" ? parseAnnouncement(line) : chatterOf(line);
      switch (said.kind) {
        case "ready":
          announced.resolve();
          break;
        case "beat":
          this.#pulse?.beat();
          this.#complaint = said.complaint;
          break;
        case "seen":
          ledger?.enter(said.series);
          break;
        case "refused":
          this.#refusal = said.error;
          announced.reject(said.error);
          break;
        case "failed":
          this.#lastWords = said.error.message;
          break;
        case "chatter":
          this.#hear(said.text);
      }
    }
  }
}

const silence = "it said nothing";

/** A child that has died this often before it was ever ready is given up. */
const maxEarlyDeaths = 5;
/** So is a child that has died at least twice and has been tried for this long. */
const bornWithinMs = 7_000;

/** How often the log mentions a child that is not ready yet. */
const tellWaitingEveryMs = 10_000;

/** How long a child may take to become ready when it is started to clean up. */
const recoverWithinMs = 10_000;

/** The exit status for a program that does not exist, as in a shell. */
const notFoundStatus = 127;

/** How long to wait for a child's last line after its end. */
const lastWordsMs = 500;
