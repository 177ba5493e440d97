// Room: jobs. Owns a job's data in Redis: its payload, and what rides beside it, which the journal never sees.
import type { Traceparent } from "../domain/traceparent.ts";

export interface Riders {
  /** The number of the database that is meant; undefined: the one that has the pool's name when the job is executed. */
  readonly database: number | undefined;
  /** Of which trace the job is a part; unchecked when it was read. */
  readonly traceparent?: Traceparent | string | undefined;
}

export const jobData = (payload: object, { database, traceparent }: Riders): object => ({
  ...payload,
  ...(database !== undefined && { database }),
  ...(traceparent !== undefined && { traceparent }),
});

/** Splits a job's data again, which may be anything. */
export function openJobData(data: unknown): Riders & { readonly payload: unknown } {
  if (typeof data !== "object" || data === null) return { payload: data, database: undefined };
  const { database, traceparent, ...payload } = data as Readonly<Record<string, unknown>>;
  return {
    payload,
    database: typeof database === "number" ? database : undefined,
    traceparent: typeof traceparent === "string" ? traceparent : undefined,
  };
}
