// Room: supervisor. Owns hang detection: whether a silent worker hangs, or merely cannot run at the moment.
import type { Logger } from "pino";
import { factsOf, type ProcessFacts, whyStillThere } from "../system/process/process-facts.ts";

/** A worker that has been silent for this long is reported: see `troubleOf`. Heartbeats come every two seconds. */
const silentAfterMs = 10_000;
/** Checks per `hungAfterMs`. */
const looksInTime = 15;
/**
 * A healthy worker needs only a moment of CPU time to send a heartbeat. One that got less than this share of
 * `hungAfterMs` (five seconds of thirty) may not have come to it: the machine is overloaded.
 */
const starvedShare = 1 / 6;
/** Overload excuses silence for at most this many times `hungAfterMs`. */
const starvedTimes = 5;

export type Verdict =
  | { readonly kind: "well" }
  /** Stopped by a signal or a debugger: an operator's intent. */
  | { readonly kind: "stopped" }
  /** Blocked in the kernel by a disk that does not answer: no signal ends it, and a new process would block as well. */
  | { readonly kind: "in the kernel" }
  | { readonly kind: "starved" }
  | { readonly kind: "hung"; readonly how: "spins" | "is blocked" };

/** Judges a worker that has been silent for `silentMs` and used `cpuMs` of CPU time since. */
export function judge(
  facts: Pick<ProcessFacts, "state">,
  silentMs: number,
  cpuMs: number,
  hungAfterMs: number,
): Verdict {
  if (/[Tt]/.test(facts.state)) return { kind: "stopped" };
  if (facts.state === "D") return { kind: "in the kernel" };
  if (silentMs < hungAfterMs) return { kind: "well" };
  if (facts.state !== "R") return { kind: "hung", how: "is blocked" };
  const isStarved = cpuMs < starvedShare * hungAfterMs && silentMs < starvedTimes * hungAfterMs;
  return isStarved ? { kind: "starved" } : { kind: "hung", how: "spins" };
}

/** The heartbeats of one process. */
export class Pulse {
  readonly #pid: number;
  readonly #hungAfterMs: number;
  readonly #lookEveryMs: number;
  #beatMs = performance.now();
  /**
   * Since when it could have sent a heartbeat: not while stopped or blocked in the kernel, nor while this process
   * slept.
   */
  #ableSinceMs = performance.now();
  #cpuMs: number;
  #lookedMs = performance.now();

  constructor(pid: number, hungAfterMs: number) {
    this.#pid = pid;
    this.#hungAfterMs = hungAfterMs;
    this.#lookEveryMs = hungAfterMs / looksInTime;
    this.#cpuMs = factsOf(pid)?.cpuMs ?? 0;
  }

  get lookEveryMs(): number {
    return this.#lookEveryMs;
  }

  get silentMs(): number {
    return performance.now() - this.#beatMs;
  }

  beat(): void {
    this.#beatMs = performance.now();
    this.#startOver();
  }

  /** To be called every `lookEveryMs`. The monotonic clock does not advance while the machine is suspended. */
  look(): Verdict {
    const nowMs = performance.now();
    const weSlept = nowMs - this.#lookedMs > 3 * this.#lookEveryMs;
    this.#lookedMs = nowMs;
    if (weSlept) this.#startOver();
    const facts = factsOf(this.#pid);
    if (facts === undefined) return { kind: "well" };
    const verdict = judge(facts, nowMs - this.#ableSinceMs, facts.cpuMs - this.#cpuMs, this.#hungAfterMs);
    if (verdict.kind === "stopped" || verdict.kind === "in the kernel") this.#startOver();
    return verdict;
  }

  #startOver(): void {
    this.#ableSinceMs = performance.now();
    this.#cpuMs = factsOf(this.#pid)?.cpuMs ?? this.#cpuMs;
  }
}

/** Looks at the heartbeats of a child periodically, until disposed of, and kills one that hangs: it is then started again. */
export function replaceIfHung(name: string, child: Hanging, pulse: Pulse, log: Logger): Disposable {
  const look = () => {
    const verdict = pulse.look();
    if (verdict.kind === "well") return;
    if (verdict.kind !== "hung") {
      const trouble = troubleOf(child.pid, pulse.silentMs);
      if (trouble !== undefined) log.warn(`${name} ${trouble}`);
      return;
    }
    const silentS = Math.round(pulse.silentMs / 1_000);
    log.error({ pid: child.pid }, `${name} ${verdict.how} and has not answered for ${silentS} s: replacing it`);
    child.kill("SIGKILL");
  };
  const timer = setInterval(look, pulse.lookEveryMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

interface Hanging {
  readonly pid: number;
  kill(signal: "SIGKILL"): void;
}

/** Why a process does not work at the moment, as a predicate for its name; undefined if it does. */
export function troubleOf(pid: number, silentMs: number): string | undefined {
  const state = factsOf(pid)?.state ?? "X";
  if (/[Tt]/.test(state)) return `is stopped by a signal or a debugger: continue it with 'kill -CONT ${pid}'`;
  if (silentMs < silentAfterMs) return undefined;
  const seconds = Math.round(silentMs / 1_000);
  if (state === "D") return `has not answered for ${seconds} s: ${whyStillThere(pid)}`;
  return `has not answered for ${seconds} s`;
}
