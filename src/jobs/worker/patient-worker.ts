// Room: jobs. Owns a BullMQ worker that backs off while Redis refuses its commands.
import { setTimeout as delay } from "node:timers/promises";
import { type Backoff, pauseAfterMs } from "../../domain/backoff.ts";
import { AbortReason, Canceller } from "../../domain/cancellation.ts";
import { isConnectionLost } from "../redis/failures.ts";
import { StoredJobWorker } from "../stored-job.ts";

const backoff: Backoff = { firstMs: 100, capMs: 2_000 };

/**
 * BullMQ asks for the next job at once when Redis has refused to give one (a read-only replica, a full memory or disk):
 * thousands of times a second, each time an error. Here each refusal in a row is followed by a longer pause, up to two
 * seconds.
 */
export class PatientWorker extends StoredJobWorker {
  readonly #closing = new Canceller();
  #refusals = 0;

  override close(force?: boolean): Promise<void> {
    this.#closing.cancel(new AbortReason("stopping", "this worker is being stopped"));
    return super.close(force);
  }

  protected override async moveToActive(token: string, name?: string) {
    try {
      const job = await super.moveToActive(token, name);
      this.#refusals = 0;
      return job;
    } catch (error) {
      if (!isConnectionLost(error)) await this.#pause();
      throw error;
    }
  }

  async #pause(): Promise<void> {
    this.#refusals += 1;
    const pauseMs = pauseAfterMs(backoff, this.#refusals);
    await delay(pauseMs, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
  }
}
