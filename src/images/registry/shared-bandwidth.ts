// Room: images. Owns a bandwidth limit that the processes of a machine keep together.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { acquireLock } from "../../system/file/locks.ts";
import { sinceBootMs } from "../../system/process/boot.ts";

export interface SharedClock {
  /** The same for all processes of the machine. */
  nowMs(): number;
  wait(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

const machineClock: SharedClock = {
  nowMs: sinceBootMs,
  wait: async (ms, signal) => {
    await delay(ms, undefined, { signal }).catch(() => undefined);
  },
};

export interface SharedBandwidthSettings {
  /** Shared by all processes of this user. */
  readonly directory: string;
  /** Downloads of the same group share the rate. */
  readonly group: string;
  readonly bytesPerSecond: number;
  readonly clock?: SharedClock | undefined;
}

/** Time is granted in steps of this length, so a group's file is locked at most ten times a second. */
const grantMs = 100;
const lockPollMs = 5;
/** A time further ahead comes from the clock of an earlier boot. */
const mostDebtMs = 24 * 3600 * 1000;
const staleMs = 24 * 3600 * 1000;

/**
 * A group's file holds the time until which its rate is spent. A download moves that time forward by the time that its
 * bytes take, and waits until then. So the downloads that run share the whole rate, and never exceed it.
 */
export class SharedBandwidth {
  readonly #directory: string;
  readonly #path: string;
  readonly #bytesPerSecond: number;
  readonly #clock: SharedClock;
  #grantedBytes = 0;

  constructor({ directory, group, bytesPerSecond, clock = machineClock }: SharedBandwidthSettings) {
    this.#directory = directory;
    this.#path = join(directory, createHash("sha256").update(group).digest("hex").slice(0, 32));
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  /** Waits until the group may receive `bytes` more. Throws the reason of `signal`. */
  async spend(bytes: number, signal?: AbortSignal): Promise<void> {
    this.#grantedBytes -= bytes;
    if (this.#grantedBytes >= 0) return;
    const grants = Math.ceil((-this.#grantedBytes * 1000) / this.#bytesPerSecond / grantMs);
    const untilMs = await this.#reserve(grants * grantMs, signal);
    this.#grantedBytes += (grants * grantMs * this.#bytesPerSecond) / 1000;
    const waitMs = untilMs - this.#clock.nowMs();
    if (waitMs > 0) await this.#clock.wait(waitMs, signal);
    signal?.throwIfAborted();
  }

  /** Spends `durationMs` of the group's time, and returns until when it is spent then. */
  async #reserve(durationMs: number, signal: AbortSignal | undefined): Promise<number> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    using _lock = await acquireLock(`${this.#path}.lock`, { signal, pollMs: lockPollMs });
    const nowMs = this.#clock.nowMs();
    const spentUntilMs = this.#read(nowMs);
    const untilMs = Math.max(nowMs, spentUntilMs) + durationMs;
    writeFileSync(this.#path, String(untilMs), { mode: 0o600 });
    return untilMs;
  }

  #read(nowMs: number): number {
    if (statSync(this.#path, { throwIfNoEntry: false }) === undefined) {
      this.#removeStale();
      return nowMs;
    }
    const spentUntilMs = Number(readFileSync(this.#path, "utf8"));
    return spentUntilMs <= nowMs + mostDebtMs ? spentUntilMs : nowMs;
  }

  /** Of groups that ended long ago. */
  #removeStale(): void {
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name);
      const usedAtMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - usedAtMs > staleMs) rmSync(path, { force: true });
    }
  }
}
