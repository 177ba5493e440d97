// Room: workers. Owns work that is done in rounds: at once when it is asked for, and from time to time in any case.
import { type Backoff, pauseAfterMs } from "../src/domain/backoff.ts";
import { isSnapmillError } from "../src/domain/errors.ts";
import { apartFromWork } from "../src/domain/work.ts";
import type { Logger } from "../src/logger.ts";

/** How long work that Redis has lost, or could not take, waits for the next round. */
const everyMs = 2_000;
/** Between rounds that fail for another reason than an absent Redis. */
const backoff: Backoff = { firstMs: 4_000, capMs: 60_000 };

/**
 * Runs `round` when it is woken and every two seconds, never twice at a time. A round that throws `unavailable` (Redis is
 * away) is repeated with the next one; any other failure is logged under `name`, and followed by growing pauses.
 */
export class Rounds {
  readonly #name: string;
  readonly #round: () => Promise<void>;
  readonly #log: Logger;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isWanted = false;
  #failures = 0;
  #notBeforeMs = 0;
  #isStopped = false;

  constructor(name: string, round: () => Promise<void>, log: Logger) {
    this.#name = name;
    this.#round = round;
    this.#log = log;
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (performance.now() >= this.#notBeforeMs) this.wake();
    }, everyMs);
    this.wake();
  }

  /** Asks for a round; those that are asked for while one runs become one more. */
  wake(): void {
    if (this.#isStopped) return;
    this.#isWanted = true;
    // A round is for all that waits, not for the work that has asked for it.
    this.#running ??= apartFromWork(() => this.#run()).finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves once the round under way has ended; there is none after it. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#isWanted && !this.#isStopped) {
      this.#isWanted = false;
      try {
        await this.#round();
        this.#failures = 0;
      } catch (error) {
        if (isSnapmillError(error, "unavailable")) continue;
        this.#failures += 1;
        this.#notBeforeMs = performance.now() + pauseAfterMs(backoff, this.#failures);
        this.#log.warn({ err: error, failures: this.#failures }, `${this.#name} were not queued; this is tried again`);
      }
    }
  }
}
