// Room: api. Owns the slowing down of callers that show wrong tokens again and again, by their address.
import { isIPv6 } from "node:net";
import { pause } from "../../domain/timers.ts";

/** So many cost nothing: a program that was started with an old token tries a few times. */
const freeFailures = 5;
const firstDelayMs = 100;
const longestDelayMs = 2_000;
const forgottenAfterMs = 600_000;
/** More than this many addresses: those that failed longest ago are forgotten first. */
const maxAddresses = 4_096;
/** Requests that wait at the same time; more are turned away at once, since each waiting one is kept in memory. */
const maxWaiting = 64;

interface Failures {
  readonly count: number;
  readonly lastMs: number;
}

/**
 * Asked only for requests whose token is wrong: one with a valid token never waits, whatever else comes from its address.
 */
export class FailureBrake {
  readonly #failures = new Map<string, Failures>();
  #waiting = 0;

  /** Notes a failure and waits as long as it has deserved. `turned away`: too many are waiting already. */
  async hold(address: string | undefined, signal: AbortSignal): Promise<"held" | "turned away"> {
    const delayMs = this.#note(networkOf(address ?? "local"));
    if (delayMs === 0) return "held";
    if (this.#waiting >= maxWaiting) return "turned away";
    this.#waiting += 1;
    try {
      await pause(delayMs, signal);
    } finally {
      this.#waiting -= 1;
    }
    return "held";
  }

  #note(network: string): number {
    const nowMs = performance.now();
    const known = this.#failures.get(network);
    const isRecent = known !== undefined && nowMs - known.lastMs < forgottenAfterMs;
    const count = (isRecent ? known.count : 0) + 1;
    // Written anew, so that the map's order is that of the last failure.
    this.#failures.delete(network);
    this.#failures.set(network, { count, lastMs: nowMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > maxAddresses && oldest !== undefined) this.#failures.delete(oldest);
    return delayAfter(count);
  }
}

/** The delay after the `count`th failure in a row. */
export const delayAfter = (count: number): number =>
  count <= freeFailures ? 0 : Math.min(firstDelayMs * 2 ** Math.min(count - freeFailures - 1, 16), longestDelayMs);

/** Whoever has an IPv6 address has a /64 of them. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const groups = (text: string) => text.split(":").filter((group) => group !== "");
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const zeros = Array<string>(Math.max(0, 8 - front.length - back.length)).fill("0");
  return `${[...front, ...zeros, ...back].slice(0, 4).join(":")}::/64`;
}
