// Room: service. Owns which removals of devices are meant: by state, device or key, error, and who holds the device now.
import { z } from "zod";
import { invalidArgument, notFound } from "../domain/errors.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import { troubleOf } from "../domain/removal-trouble.ts";
import { readConsistently } from "../metadata/database.ts";
import { payloadHash } from "../metadata/journal.ts";
import { type RemovalRecord, removalRecords } from "../metadata/pending-removals.ts";
import { type HeldBy, holdersOfDevices, shownHolders } from "./holders.ts";
import type { Service } from "./service.ts";

/**
 * `pending`: it waits for its turn or for its next attempt. `failed`: given up after the last attempt, until the next
 * start. `discarded`: given up by an operator, until it is retried.
 */
export const removalStates = ["pending", "failed", "discarded"] as const;
export type RemovalState = (typeof removalStates)[number];

const text = z.string().min(1).max(1000);

export const removalFilter = z.object({
  states: z.array(z.enum(removalStates)).readonly().optional(),
  /** Only those whose last error contains this. */
  matching: text.optional(),
  /** Only those with this trouble, as `removalGroups` tells it. */
  trouble: text.optional(),
  /** Only those whose device or key contains this. */
  find: text.optional(),
  /** Only those whose device is held by this one, as `removalGroups` names it; `nobody`: those that nobody holds. */
  holder: text.optional(),
});
export type RemovalFilter = z.output<typeof removalFilter>;

/** Which removals are changed: by device or key, by a filter, or all that are not discarded. */
export const removalSelection = removalFilter.extend({
  names: z.array(z.string()).readonly().prefault([]),
  all: z.boolean().optional(),
  /** The hash of those that are meant, as a dry run or `removalGroups` tells it: if others match now, nothing is changed. */
  ifSet: text.optional(),
});
export type RemovalSelection = z.output<typeof removalSelection>;

type Readable = Pick<Service, "database" | "devicePath">;

/** The same for the same devices, in any order. */
export const setOf = (devices: readonly string[]): string => payloadHash([...devices].sort());

export function stateOf({ discardedAtMs, givenUpAtMs }: RemovalRecord): RemovalState {
  if (discardedAtMs !== null) return "discarded";
  return givenUpAtMs === null ? "pending" : "failed";
}

/** Oldest first. */
export async function matchingRemovals(service: Readable, filter: RemovalFilter): Promise<readonly RemovalRecord[]> {
  const database = service.database();
  const { states, matching, trouble, find, holder } = filter;
  const found = readConsistently(database, () => removalRecords(database)).filter(
    (record) =>
      (states === undefined || states.includes(stateOf(record))) &&
      (matching === undefined || record.lastError?.includes(matching) === true) &&
      (trouble === undefined || troubleOf(record.device, record.lastError) === trouble) &&
      (find === undefined || record.device.includes(find) || record.key?.includes(find) === true),
  );
  if (holder === undefined) return found;
  const held = await heldByEach(service, found);
  return found.filter(({ device }) => holderIds(held.get(device) ?? null).includes(holder));
}

/** Who holds the devices of which an attempt has failed; for others nobody is looked for. */
export async function heldByEach(
  service: Readable,
  records: readonly RemovalRecord[],
): Promise<ReadonlyMap<DeviceName, HeldBy>> {
  const failing = records.filter(({ lastError }) => lastError !== null).map(({ device }) => device);
  const found = await holdersOfDevices(service, failing);
  return new Map([...found].map(([device, holders]) => [device, shownHolders(holders)]));
}

export const nobody = "nobody";
export const unknownHolder = "unknown";

/** By what they are told apart: a process, a mount namespace of which none is known, or a device on top. */
export function holderIds(heldBy: HeldBy | null): readonly string[] {
  if (heldBy === null) return [unknownHolder];
  if (heldBy.holders.length > 0) return [...new Set(heldBy.holders.map(holderId))];
  return [heldBy.isComplete && heldBy.more === 0 ? nobody : unknownHolder];
}

export function holderId({ pid, mountNamespace, device }: HeldBy["holders"][number]): string {
  if (pid !== null) return `process-${pid}`;
  return device === null ? `namespace-${mountNamespace ?? 0}` : `device-${device}`;
}

/** Throws invalid_argument if nothing is selected, not_found if a name is of no removal, failed_precondition for another set. */
export async function selectedRemovals(
  service: Readable,
  { names, all, ifSet: _confirmed, ...filter }: RemovalSelection,
): Promise<DeviceName[]> {
  if (names.length === 0 && all !== true && Object.values(filter).every((each) => each === undefined)) {
    throw invalidArgument("say which removals: by key or device, by a part of their error, or all of them");
  }
  const records = await matchingRemovals(service, filter);
  return names.length === 0
    ? records.filter((record) => filter.states !== undefined || stateOf(record) !== "discarded").map(deviceOf)
    : named(records, names).map(deviceOf);
}

const deviceOf = ({ device }: RemovalRecord): DeviceName => device;

function named(records: readonly RemovalRecord[], names: readonly string[]): readonly RemovalRecord[] {
  const isNamed = ({ device, key }: RemovalRecord, name: string) => device === name || key === name;
  const missing = names.filter((name) => !records.some((record) => isNamed(record, name)));
  if (missing.length > 0) {
    throw notFound(`no removal is of ${missing.join(", ")}: 'snapmill removals' lists those that there are`);
  }
  return records.filter((record) => names.some((name) => isNamed(record, name)));
}
