// Room: service. Owns the operations on removals of devices: their list, and whether they are tried.
import { z } from "zod";
import { invalidArgument, notFound } from "../domain/errors.ts";
import type { FoundHolders } from "../domain/holders.ts";
import { type DeviceName, deviceNumber } from "../domain/identifiers.ts";
import { jobs } from "../jobs/contract.ts";
import { type Database, readConsistently } from "../metadata/database.ts";
import { type RemovalRecord, removalRecords } from "../metadata/pending-removals.ts";
import { poolNameOf } from "../metadata/pool.ts";
import { heldBy, holdersOfDevices, shownHolders } from "./holders.ts";
import { listOperation, operation } from "./operation.ts";
import { partOf } from "./part-of.ts";
import type { CallOptions, Service } from "./service.ts";

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

/**
 * `pending`: it waits for its turn or for its next attempt. `failed`: given up after the last attempt, until the next
 * start. `discarded`: given up by an operator, until it is retried.
 */
export const removalStates = ["pending", "failed", "discarded"] as const;

const time = z.number().nullable();
const removal = z.object({
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

const filter = z.object({
  states: z.array(z.enum(removalStates)).readonly().optional(),
  /** Only those whose last error contains this. */
  matching: z.string().min(1).optional(),
});

/** Their holders are found together. */
const pageItems = 100;

/**
 * Devices that are not removed yet although their snapshots are, in the order of their numbers: those behind the device
 * `after`. Those of which an attempt has failed are told with who holds them now.
 */
export const removals = listOperation(
  {
    input: filter.extend({ after: z.string().optional() }),
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
    const found = matchingRemovals(database(), given)
      .filter(({ device }) => numberOf(device) > behind)
      .sort((one, other) => numberOf(one.device) - numberOf(other.device));
    for (let start = 0; start < found.length; start += pageItems) {
      yield await described(service, found.slice(start, start + pageItems));
    }
  },
);

/** Which removals are meant: by device or key, or all that are not discarded, perhaps only those with a certain error. */
const selection = z.object({
  names: z.array(z.string()).readonly().prefault([]),
  all: z.boolean().optional(),
  matching: filter.shape.matching,
});
type Selection = z.output<typeof selection>;
const selected = jobs["retry-removals"].result;

/** How many removals one job of the pool's worker changes. */
const perOperation = 1000;

/**
 * Has removals tried at once, from the start, also those that were given up or discarded. With `isDryRun`, only tells
 * which. Throws not_found if a name is of no removal.
 */
export const retryRemovals = operation(
  { input: selection.extend({ isDryRun: z.boolean().optional() }), output: selected, recovery: "repeated" },
  (service: Pick<Service, "database" | "change">, { isDryRun, ...given }, options?: CallOptions) =>
    changeRemovals(service, given, isDryRun === true, (devices) =>
      service.change("retry-removals", { devices: [...devices] }, partOf(options, devices)),
    ),
);

/**
 * Has removals not tried any more, not even by the next start. Their devices stay in the pool and take its space; doctor
 * and the list of removals show them until they are retried.
 */
export const discardRemovals = operation(
  {
    input: selection.extend({
      reason: jobs["discard-removals"].payload.shape.reason,
      isDryRun: z.boolean().optional(),
    }),
    output: selected,
    recovery: "repeated",
  },
  (service: Pick<Service, "database" | "change">, { isDryRun, reason, ...given }, options?: CallOptions) =>
    changeRemovals(service, given, isDryRun === true, (devices) =>
      service.change("discard-removals", { devices: [...devices], reason }, partOf(options, devices)),
    ),
);

async function changeRemovals(
  service: Pick<Service, "database">,
  given: Selection,
  isDryRun: boolean,
  change: (devices: readonly DeviceName[]) => Promise<{ readonly devices: readonly DeviceName[] }>,
): Promise<z.output<typeof selected>> {
  const meant = meantRemovals(service, given);
  if (isDryRun) return { devices: meant };
  const changed: DeviceName[] = [];
  for (let start = 0; start < meant.length; start += perOperation) {
    changed.push(...(await change(meant.slice(start, start + perOperation))).devices);
  }
  return { devices: changed };
}

function meantRemovals(service: Pick<Service, "database">, { names, all, matching }: Selection): DeviceName[] {
  if (names.length === 0 && all !== true && matching === undefined) {
    throw invalidArgument("say which removals: by key or device, by a part of their error, or all of them");
  }
  const records = matchingRemovals(service.database(), { matching });
  if (names.length === 0) {
    return records.filter(({ discardedAtMs }) => discardedAtMs === null).map(({ device }) => device);
  }
  const isNamed = ({ device, key }: RemovalRecord, name: string) => device === name || key === name;
  const missing = names.filter((name) => !records.some((record) => isNamed(record, name)));
  if (missing.length > 0) {
    throw notFound(`no removal is of ${missing.join(", ")}: 'snapmill removals' lists those that there are`);
  }
  return records.filter((record) => names.some((name) => isNamed(record, name))).map(({ device }) => device);
}

function matchingRemovals(database: Database, { states, matching }: z.output<typeof filter>): RemovalRecord[] {
  const records = readConsistently(database, () => removalRecords(database));
  return records.filter(
    (record) =>
      (states === undefined || states.includes(stateOf(record))) &&
      (matching === undefined || record.lastError?.includes(matching) === true),
  );
}

function stateOf({ discardedAtMs, givenUpAtMs }: RemovalRecord): Removal["state"] {
  if (discardedAtMs !== null) return "discarded";
  return givenUpAtMs === null ? "pending" : "failed";
}

function numbersIn(database: Database): (device: DeviceName) => number {
  const pool = poolNameOf(database);
  return (device) => deviceNumber(pool, device) ?? 0;
}

async function described(
  service: Pick<Service, "devicePath">,
  records: readonly RemovalRecord[],
): Promise<readonly Removal[]> {
  const failing = records.filter(({ lastError }) => lastError !== null).map(({ device }) => device);
  const found = await holdersOfDevices(service, failing);
  return records.map((record) => describedWith(record, found.get(record.device)));
}

function describedWith(record: RemovalRecord, found: FoundHolders | undefined): Removal {
  const { usedBytes, inheritedBytes, ...told } = record;
  return {
    ...told,
    heldBy: found === undefined ? null : shownHolders(found),
    state: stateOf(record),
    bytes: usedBytes === null ? null : Math.max(0, usedBytes - inheritedBytes),
  };
}
