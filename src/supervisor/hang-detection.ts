// Room: supervisor. Owns the question whether a worker that has gone silent hangs, or only cannot run at the moment.
import { factsOf, type ProcessFacts, whyStillThere } from "../system/process/process-facts.ts";

/** A worker that has been silent for so long is not well: see `trouble`. Beats come every two seconds. */
const silentAfterMs = 10_000;
/** How often a supervisor looks, compared with how long a worker may be silent. */
const looksInTime = 15;
/**
 * A worker that is well shows it within a moment of the processor's time. With less than this share of the silence that is
 * allowed (five seconds of thirty) it may not have got to it: the machine is overloaded.
 */
const starvedShare = 1 / 6;
/** An overloaded machine is believed for so many times the silence that is allowed. */
const starvedTimes = 5;

export type Verdict =
  | { readonly kind: "well" }
  /** By a signal or a debugger: an operator wants it so. */
  | { readonly kind: "stopped" }
  /** In the kernel, for a disk that does not answer: no signal ends it, and a new process would wait as well. */
  | { readonly kind: "in the kernel" }
  | { readonly kind: "starved" }
  | { readonly kind: "hung"; readonly how: "spins" | "is blocked" };

/** What is made of a worker that has been silent for `silentMs`, in which it took `cpuMs` of the processor. */
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

/** The pulse of one process that announces that its event loop turns. */
export class Pulse {
  readonly #pid: number;
  readonly #hungAfterMs: number;
  readonly #lookEveryMs: number;
  #beatMs = performance.now();
  /** Since when it could have beaten: stopped, waiting in the kernel, or with this process itself asleep, it could not. */
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

  /** To be called every `lookEveryMs`. The monotonic clock stands still while a machine is suspended. */
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

/** Why a process does no work at the moment, in words that follow its name; undefined when it does. */
export function troubleOf(pid: number, silentMs: number): string | undefined {
  const state = factsOf(pid)?.state ?? "X";
  if (/[Tt]/.test(state)) return `is stopped by a signal or a debugger: continue it by 'kill -CONT ${pid}'`;
  if (silentMs < silentAfterMs) return undefined;
  const seconds = Math.round(silentMs / 1_000);
  if (state === "D") return `has not answered for ${seconds} s: ${whyStillThere(pid)}`;
  return `has not answered for ${seconds} s`;
}
