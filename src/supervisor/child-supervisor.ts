// Room: supervisor. Owns one child: started, watched, started again when it dies or hangs, and stopped.
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { type Backoff, pauseAfterMs } from "../domain/backoff.ts";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { aborted, failedPrecondition, type SnapmillError, unavailable } from "../domain/errors.ts";
import { linesOf } from "../system/process/lines.ts";
import {
  describeExit,
  type Exit,
  endSession,
  type Left,
  type RunningProcess,
  startProcess,
} from "../system/process/processes.ts";
import type { ChildPlan, ChildState } from "./child-plan.ts";
import { Pulse, troubleOf } from "./hang-detection.ts";
import { parseAnnouncement } from "./ready.ts";

export type Child = RunningProcess<"ignore", "pipe", "inherit">;

/** Between a child's death and its next start. */
const backoff: Backoff = { firstMs: 100, capMs: 30_000 };
/** A child that lived this long has recovered: its next death counts as its first. */
const recoveredAfterMs = 30_000;

/** Keeps one child running from `start` to `stop`. */
export class ChildSupervisor {
  readonly #plan: ChildPlan;
  readonly #log: Logger;
  readonly #stopping = new Canceller();
  readonly #firstReady = Promise.withResolvers<void>();
  readonly #refused = Promise.withResolvers<never>();
  /** Resolves when `stop` has given a child up that does not end. */
  readonly #abandoned = Promise.withResolvers<"abandoned">();
  #state: ChildState = { kind: "starting" };
  #child: Child | undefined;
  #pulse: Pulse | undefined;
  #complaint: string | undefined;
  #wasReady = false;
  #gaveUp = false;
  #lastWords = silence;
  /** Why the child that runs can work no more, if it said so; and the reading of what it says. */
  #refusal: SnapmillError | undefined;
  #reading: Promise<void> = Promise.resolve();
  #ended: Promise<void> = Promise.resolve();

  constructor(plan: ChildPlan, log: Logger) {
    this.#plan = plan;
    this.#log = log;
    // A rejection that is not awaited must not end the process.
    this.#firstReady.promise.catch(() => undefined);
    this.#refused.promise.catch(() => undefined);
  }

  get #isStopping(): boolean {
    return this.#stopping.isCancelled;
  }

  get state(): ChildState {
    return this.#state;
  }

  /** Why the child does no work although it is there, or does it badly, in a sentence; undefined when all is well. */
  get trouble(): string | undefined {
    if (this.#state.kind !== "ready") return undefined;
    const trouble = troubleOf(this.#state.pid, this.#pulse?.silentMs ?? 0) ?? this.#complaint;
    return trouble === undefined ? undefined : `${this.#plan.name} ${trouble}`;
  }

  /** How long ago the child last announced that its event loop turns; undefined when it does not do that. */
  get silentMs(): number | undefined {
    return this.#pulse?.silentMs;
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

  /**
   * Ends the child: SIGTERM, and SIGKILL when it takes longer than its grace. Never rejects, and returns in
   * bounded time: with the processes that are still there all the same.
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

  /** Starts the child once more, only to end it in order. */
  async #tidyUp(): Promise<readonly Left[]> {
    const { name, graceMs } = this.#plan;
    this.#log.info(`${name} did not end in order: starting it again to tidy up`);
    const child = this.#spawn();
    try {
      await Promise.race([this.#becomeReady(child), delay(recoverWithinMs)]);
    } catch (error) {
      this.#log.warn({ err: error }, `${name} could not tidy up; the next start will`);
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

  /** Throws when a child that was never ready has died often, or for long, enough. */
  #bearWith(exit: Exit, deaths: number, triedMs: number): void {
    if (deaths < maxEarlyDeaths && (deaths < 2 || triedMs < bornWithinMs)) return;
    const how = `${this.#plan.name} ${describeExit(exit)} ${deaths} times before it was ready`;
    throw unavailable(`${how}: ${this.#lastWords}`);
  }

  async #waitAfter(exit: Exit, deaths: number): Promise<void> {
    const delayMs = pauseAfterMs(backoff, deaths);
    const why = this.#lastWords === silence ? "" : `: ${this.#lastWords}`;
    this.#state = { kind: "waiting", exit };
    this.#log.warn({ deaths, delayMs }, `${this.#plan.name} ${describeExit(exit)}${why}; starting it again`);
    await delay(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  /** Runs the child once and returns how it ended. Throws when another start would not help. */
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
      this.#log.info({ pid: child.pid }, `${this.#plan.name} is ready`);
      this.#firstReady.resolve();
    } catch (error) {
      await this.#endUnready(child, error);
    }
    using _watch = this.#state.kind === "ready" ? this.#watch(child) : undefined;
    const exit = await gone;
    // `stop` ends a child that is usable or on its way.
    this.#child = undefined;
    if (exit === "abandoned") return exit;
    this.#report(await endSession(child.pid));
    await Promise.race([this.#reading, delay(lastWordsMs)]);
    if (this.#refusal !== undefined) throw this.#refusal;
    return exit;
  }

  /** Ends a child that does not become usable; throws when another one would not either. */
  async #endUnready(child: Child, error: unknown): Promise<void> {
    const { name, graceMs } = this.#plan;
    const exit = await child.stop({ graceMs });
    if (!(error instanceof NotYet)) throw error;
    if (exit.kind === "exited" && exit.code === notFoundStatus) {
      throw failedPrecondition(
        `the program of ${name} was not found: install it, or start snapmill by its launcher (./snapmill in a checkout), which provides it`,
      );
    }
    if (!this.#isStopping) this.#log.warn(error.message);
    // Another child would be refused what this one still holds: it is waited for.
    if (exit.kind === "left") this.#log.error(`${name} ${describeExit(exit)}`);
  }

  #report(left: readonly Left[]): void {
    for (const process of left) this.#log.error(`what ${this.#plan.name} had started ${describeExit(process)}`);
  }

  /** Looks at the pulse of a usable child from time to time; one that hangs is killed, and so started again. */
  #watch(child: Child): Disposable | undefined {
    const { name, hungAfterMs } = this.#plan;
    if (hungAfterMs === undefined) return undefined;
    const pulse = new Pulse(child.pid, hungAfterMs);
    this.#pulse = pulse;
    const look = () => {
      const verdict = pulse.look();
      if (verdict.kind === "well") return;
      if (verdict.kind !== "hung") {
        const trouble = troubleOf(child.pid, pulse.silentMs);
        if (trouble !== undefined) this.#log.warn(`${name} ${trouble}`);
        return;
      }
      const silentS = Math.round(pulse.silentMs / 1_000);
      this.#log.error({ pid: child.pid }, `${name} ${verdict.how} and has not answered for ${silentS} s: replacing it`);
      child.kill("SIGKILL");
    };
    const timer = setInterval(look, pulse.lookEveryMs);
    return {
      [Symbol.dispose]: () => {
        clearInterval(timer);
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

  /** Throws NotYet when the child dies first or takes too long, and its refusal when it announces one. */
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
      this.#log.warn(`${name} is not ready after ${triedS} s, and is waited for: ${this.#lastWords}`);
    }, tellWaitingEveryMs);
    try {
      await Promise.race([usable, died, late]);
    } finally {
      clearInterval(patience);
      over.cancel(new AbortReason("over", `${name} is waited for no longer`));
    }
  }

  /** What a child says before it is ready matters only when it never gets ready. */
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
        case "beat":
          this.#pulse?.beat();
          this.#complaint = said.complaint;
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

/** A child that dies this often before it was ever ready will not get better by itself. */
const maxEarlyDeaths = 5;
/** A child that has died twice and took longer than this will not either. */
const bornWithinMs = 7_000;

/** How often a child that is not ready yet is logged. */
const tellWaitingEveryMs = 10_000;

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
