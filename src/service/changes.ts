// Room: service. Owns the way of a change from a call to the pool's worker and back.
import { asSnapmillError } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import type { Arguments, PoolJobName, Result } from "../jobs/contract.ts";
import { JobClient } from "../jobs/requests/client.ts";
import { Unsettled } from "./unsettled.ts";

/** A commit may have gigabytes to flush, a first snapshot a large file system to make: who waits less long says so. */
const patienceMs = 10 * 60_000;

interface Waiting {
  /** Aborts when the answer is no longer waited for. */
  readonly signal?: AbortSignal | undefined;
}

interface Place {
  readonly redisUrl: string;
  readonly pool: PoolName;
  /** The number of the database that the changes are meant for. */
  readonly database: () => number;
}

export class Changes implements AsyncDisposable {
  readonly #place: Place;
  readonly #unsettled = new Unsettled();
  #client: Promise<JobClient> | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  /**
   * Has the pool's worker do it, under an operation ID of its own. Throws what `JobClient.call` throws; `unavailable`
   * within about a second when Redis or the worker is away.
   *
   * A caller who goes while the change waits in the queue takes it back with him. Once it is being executed it happens
   * as a whole: whoever asks for the same key again is told so, by already_exists or not_found.
   */
  async change<Name extends PoolJobName>(
    name: Name,
    given: Arguments<Name>,
    { signal }: Waiting,
  ): Promise<Result<Name>> {
    const keys = keysOf(given);
    await this.#unsettled.settled(keys, signal);
    const client = await this.#connected();
    return await client.call(name, given, {
      deadlineMs: patienceMs,
      signal,
      needsWorker: true,
      onLeft: (ended) => this.#unsettled.note(keys, ended),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#client?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }

  /** One client for all calls; a Redis that is away is asked again at the next call. */
  async #connected(): Promise<JobClient> {
    try {
      this.#client ??= JobClient.connect({ ...this.#place, database: this.#place.database() });
      return await this.#client;
    } catch (error) {
      this.#client = undefined;
      throw asSnapmillError(error);
    }
  }
}

/** What the snapshots are called that a change is about. */
const keysOf = (given: object): string[] =>
  Object.entries(given).flatMap(([field, value]) =>
    (field === "key" || field === "name") && typeof value === "string" ? [value] : [],
  );
