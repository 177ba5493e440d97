// Room: jobs. Owns the database that a job is meant for: its number rides in the job's data (job-data.ts).
import type { Redis } from "ioredis";
import { failedPrecondition, isSnapmillError, type SnapmillError } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import { type ClaimHolder, readClaim } from "./pool-claims.ts";

/** Whether jobs for these databases may be the same job. */
export const isSameDatabase = (one: number | undefined, other: number | undefined): boolean =>
  one === undefined || other === undefined || one === other;

/** The database that a client's calls are meant for: known from the start, or that of the claim it first finds. */
export class Addressee {
  readonly #connection: Redis;
  readonly #pool: PoolName;
  #known: number | undefined;

  constructor(connection: Redis, pool: PoolName, known: number | undefined) {
    this.#connection = connection;
    this.#pool = pool;
    this.#known = known;
  }

  get known(): number | undefined {
    return this.#known;
  }

  /** Asks Redis while it is not known. Throws what Redis throws. */
  async find(): Promise<number | undefined> {
    const claim = await readClaim(this.#connection, this.#pool);
    // Of a damaged claim, the number is not known: the job is for the database that has the name when it is executed.
    if (claim?.wrongType === undefined) this.#known ??= claim?.database;
    return this.#known;
  }
}

const refusalStart = "this job was meant for database";

/** Why the holder of the pool's name does not execute a job. `wasBegun`: another worker has had it before. */
export function misaddressed(
  pool: PoolName,
  database: number,
  { host, stateDir, database: ours }: ClaimHolder,
  wasBegun: boolean,
): SnapmillError {
  const elsewhere = wasBegun ? "nothing was done here, but it may have been done there" : "nothing was done";
  return failedPrecondition(
    `${refusalStart} ${database} of pool ${pool}, and that name now belongs to database ${ours} on host ${host} ` +
      `(${stateDir}): ${elsewhere}; ask again under a new operation ID to have it done by the one that has the name`,
  );
}

/** Whether a failure is such a refusal: it says nothing about the database that was meant. */
export const isMisaddressed = (error: unknown): boolean =>
  isSnapmillError(error, "failed_precondition") && error.message.startsWith(refusalStart);
