// Room: metadata. Owns which devices are still to be removed by a job of their own: entries of the outbox.
import { and, eq, sql } from "drizzle-orm";
import { type DeviceName, freshOperationId, type OperationId, parseDeviceName } from "../domain/identifiers.ts";
import type { Database } from "./database.ts";
import { addToOutbox, type OutboxEntry, pendingOutbox } from "./outbox.ts";
import { outbox } from "./schema.ts";

/** The job that removes one device; its operation is the outbox entry's. */
const job = "remove-device";

export interface PendingRemoval {
  readonly operationId: OperationId;
  readonly device: DeviceName;
  readonly createdAtMs: number;
}

interface Payload {
  readonly device: DeviceName;
}

/** Puts a device's removal into the outbox, in the caller's transaction; false when it is there already. */
export function addRemoval(database: Database, device: DeviceName): boolean {
  const known = database.drizzle.select().from(outbox).where(isOf(device)).limit(1).get();
  if (known !== undefined) return false;
  addToOutbox(database, { operationId: freshOperationId(), job, payload: payloadOf(device) });
  return true;
}

/** Drops a device's removal: nothing of the device is left. */
export function dropRemoval(database: Database, device: DeviceName): void {
  database.drizzle.delete(outbox).where(isOf(device)).run();
}

/** Oldest first. */
export const pendingRemovals = (database: Database): PendingRemoval[] =>
  pendingOutbox(database, job).flatMap(({ operationId, payload, createdAtMs }) => {
    const device = deviceIn(payload);
    return device === undefined ? [] : [{ operationId, createdAtMs, device }];
  });

/** Entries whose payload names no device. */
export const damagedRemovals = (database: Database): OutboxEntry[] =>
  pendingOutbox(database, job).filter(({ payload }) => deviceIn(payload) === undefined);

function deviceIn(payload: unknown): DeviceName | undefined {
  try {
    return parseDeviceName((payload as Partial<Payload>).device ?? "");
  } catch {
    return undefined;
  }
}

const payloadOf = (device: DeviceName): Payload => ({ device });

/** The job is written out: with a parameter in its place, SQLite would not use the index that only has these entries. */
const isOf = (device: DeviceName) =>
  and(sql`${outbox.job} = ${sql.raw(`'${job}'`)}`, eq(outbox.payload, JSON.stringify(payloadOf(device))));
