// Room: service. Owns the list of devices that are still to be removed, and the clean-up of all that is left behind.
import { z } from "zod";
import { type DeviceName, deviceNumber } from "../domain/identifiers.ts";
import { troubleOf } from "../domain/removal-trouble.ts";
import { jobs } from "../jobs/contract.ts";
import type { Database } from "../metadata/database.ts";
import type { RemovalRecord } from "../metadata/pending-removals.ts";
import { poolNameOf } from "../metadata/pool.ts";
import { type HeldBy, heldBy } from "./holders.ts";
import { listOperation, operation } from "./operation.ts";
import { heldByEach, matchingRemovals, removalFilter, removalStates, stateOf } from "./removal-filter.ts";
import type { Service } from "./service.ts";

/** Takes half a minute at most, but may have to wait for its turn. */
const deadlineMs = 10 * 60_000;

/**
 * Removes what removals and interrupted unpacks have left behind. Retries removals of devices that were given up, and
 * operations that were set aside.
 */
export const cleanup = operation(
  { input: z.object({}), output: jobs.cleanup.result, recovery: "journaled" },
  (service, given, options) => service.change("cleanup", given, { deadlineMs, ...options }),
);

const time = z.number().nullable();
export const removal = z.object({
  device: z.string(),
  operationId: z.string(),
  state: z.enum(removalStates),
  /** Of the last snapshot that was on the device; null: it was never finished, or an older version removed it. */
  scope: z.string().nullable(),
  key: z.string().nullable(),
  createdAtMs: z.number(),
  /** Since it began, or began anew. */
  attempts: z.number(),
  lastError: z.string().nullable(),
  /** What that says of any device: removals with the same trouble stay for the same reason. */
  trouble: z.string(),
  failingSinceMs: time,
  lastFailedAtMs: time,
  nextTryAtMs: time,
  givenUpAtMs: time,
  discardedAtMs: time,
  discardReason: z.string().nullable(),
  /** An estimate of the space that it would free; null: it was not measured yet, which the first attempt does. */
  bytes: z.number().nullable(),
  /** Null: no attempt has failed yet, so nobody was looked for. */
  heldBy: heldBy.nullable(),
});
export type Removal = z.output<typeof removal>;

/** Their holders are found together. */
const pageItems = 100;

/**
 * Devices that are not removed yet although their snapshots are, in the order of their numbers: those behind the device
 * `after`. Those of which an attempt has failed are told with who holds them now.
 */
export const removals = listOperation(
  {
    input: removalFilter.extend({ after: z.string().optional() }),
    output: removal,
    placeOf: ({ device }) => device,
  },
  async function* (
    service: Pick<Service, "database" | "devicePath">,
    { after, ...given },
  ): AsyncGenerator<readonly Removal[]> {
    const { database } = service;
    const numberOf = numbersIn(database());
    const behind = after === undefined ? 0 : numberOf(after as DeviceName);
    const found = (await matchingRemovals(service, given))
      .filter(({ device }) => numberOf(device) > behind)
      .sort((one, other) => numberOf(one.device) - numberOf(other.device));
    for (let start = 0; start < found.length; start += pageItems) {
      yield await described(service, found.slice(start, start + pageItems));
    }
  },
);

function numbersIn(database: Database): (device: DeviceName) => number {
  const pool = poolNameOf(database);
  return (device) => deviceNumber(pool, device) ?? 0;
}

async function described(
  service: Pick<Service, "database" | "devicePath">,
  records: readonly RemovalRecord[],
): Promise<readonly Removal[]> {
  const held = await heldByEach(service, records);
  return records.map((record) => describedRemoval(record, held.get(record.device)));
}

export function describedRemoval(record: RemovalRecord, held: HeldBy | undefined): Removal {
  const { usedBytes: _used, inheritedBytes: _inherited, traceparent: _trace, ...told } = record;
  return {
    ...told,
    trouble: troubleOf(record.device, record.lastError),
    heldBy: held ?? null,
    state: stateOf(record),
    bytes: freedBytes(record),
  };
}

/** Null: it was not measured yet. */
export const freedBytes = ({ usedBytes, inheritedBytes }: RemovalRecord): number | null =>
  usedBytes === null ? null : Math.max(0, usedBytes - inheritedBytes);
