// Room: metadata. Owns which devices are still to be removed by a job of their own: entries of the outbox, and how each stands.
import { and, asc, count, eq, gte, inArray, isNotNull, isNull, or, sql } from "drizzle-orm";
import {
  type DeviceName,
  freshOperationId,
  type OperationId,
  parseDeviceName,
  type Scope,
  type SnapshotKey,
} from "../domain/identifiers.ts";
import { traceparent } from "../domain/work.ts";
import { type Database, statements } from "./database.ts";
import { addToOutbox, type OutboxEntry, pendingOutbox } from "./outbox.ts";
import { outbox, removals } from "./schema.ts";

/** The job that removes one device; its operation is the outbox entry's. */
const job = "remove-device";

/** The job is written out: with a parameter in its place, SQLite would not use the index that only has these entries. */
const isOf = and(sql`${outbox.job} = ${sql.raw(`'${job}'`)}`, eq(outbox.payload, sql.placeholder("payload")));

const prepared = statements((handle) => ({
  find: handle.select({ operationId: outbox.operationId }).from(outbox).where(isOf).limit(1).prepare(),
  drop: handle.delete(outbox).where(isOf).prepare(),
}));

/** The last snapshot that was on a device, and the space that both take. */
export interface RemovedSnapshot {
  readonly scope: Scope;
  readonly key: SnapshotKey;
  /** Mapped by the device, if that was measured, and by the snapshot under it. */
  readonly usedBytes?: number | undefined;
  readonly inheritedBytes: number;
}

export interface PendingRemoval {
  readonly operationId: OperationId;
  readonly device: DeviceName;
  readonly createdAtMs: number;
  /** The trace that its job is part of, if any. */
  readonly traceparent?: string | undefined;
}

/** A removal that failed, for the last time or not. */
export interface RemovalFailure {
  readonly message: string;
  readonly atMs: number;
  /** Undefined: it is given up. */
  readonly nextTryAtMs: number | undefined;
}

type Row = typeof removals.$inferSelect;
/** How it stands with a removal; columns are null where nothing is known. */
export type RemovalRecord = PendingRemoval & Omit<Row, "operationId">;

interface Payload {
  readonly device: DeviceName;
}

/** Puts a device's removal into the outbox, in the caller's transaction; false when it is there already. */
export function addRemoval(database: Database, device: DeviceName, snapshot?: RemovedSnapshot): boolean {
  const known = prepared(database).find.get({ payload: payloadOf(device) });
  if (known !== undefined) return false;
  const operationId = freshOperationId();
  addToOutbox(database, { operationId, job, payload: { device } satisfies Payload, traceparent: traceparent() });
  database.drizzle
    .insert(removals)
    .values({ operationId, ...snapshot })
    .run();
  return true;
}

/** Drops a device's removal: nothing of the device is left. */
export function dropRemoval(database: Database, device: DeviceName): void {
  prepared(database).drop.run({ payload: payloadOf(device) });
}

/** Oldest first, without those that were discarded. */
export const pendingRemovals = (database: Database): PendingRemoval[] =>
  removalRecords(database)
    .filter(({ discardedAtMs }) => discardedAtMs === null)
    .map(({ operationId, device, createdAtMs, traceparent: trace }) => ({
      operationId,
      device,
      createdAtMs,
      traceparent: trace,
    }));

/** All removals, oldest first. */
export function removalRecords(database: Database): RemovalRecord[] {
  const rows = new Map(
    database.drizzle
      .select()
      .from(removals)
      .all()
      .map((row) => [row.operationId, row]),
  );
  return pendingOutbox(database, job).flatMap(({ operationId, payload, createdAtMs, traceparent: trace }) => {
    const device = deviceIn(payload);
    return device === undefined
      ? []
      : [{ ...nothingKnown, ...rows.get(operationId), operationId, createdAtMs, device, traceparent: trace }];
  });
}

export interface TroubledRemoval {
  readonly device: DeviceName;
  readonly lastError: string | null;
  readonly failingSinceMs: number | null;
  readonly isGivenUp: boolean;
  /** What it would free, as far as it was measured. */
  readonly bytes: number;
}

/** Those that were given up, or tried in vain at least so often; the one that has failed for the longest first. */
export const troubledRemovals = (database: Database, leastAttempts: number): TroubledRemoval[] =>
  database.drizzle
    .select({ removal: removals, payload: outbox.payload })
    .from(removals)
    .innerJoin(outbox, eq(outbox.operationId, removals.operationId))
    .where(
      and(isNull(removals.discardedAtMs), or(isNotNull(removals.givenUpAtMs), gte(removals.attempts, leastAttempts))),
    )
    .orderBy(asc(removals.failingSinceMs))
    .all()
    .flatMap(({ removal, payload }) => {
      const device = deviceIn(JSON.parse(payload));
      const { lastError, failingSinceMs, givenUpAtMs, usedBytes, inheritedBytes } = removal;
      const bytes = usedBytes === null ? 0 : Math.max(0, usedBytes - inheritedBytes);
      return device === undefined
        ? []
        : [{ device, lastError, failingSinceMs, isGivenUp: givenUpAtMs !== null, bytes }];
    });

/** Of an entry that an older version has written. */
const nothingKnown: Omit<Row, "operationId"> = {
  scope: null,
  key: null,
  usedBytes: null,
  inheritedBytes: 0,
  attempts: 0,
  lastError: null,
  failingSinceMs: null,
  lastFailedAtMs: null,
  nextTryAtMs: null,
  givenUpAtMs: null,
  discardedAtMs: null,
  discardReason: null,
};

/** Entries whose payload names no device. */
export const damagedRemovals = (database: Database): OutboxEntry[] =>
  pendingOutbox(database, job).filter(({ payload }) => deviceIn(payload) === undefined);

/** Notes an attempt that failed. Nothing is noted of a removal that is done, or was discarded. */
export function noteRemovalFailure(database: Database, operationId: OperationId, failure: RemovalFailure): void {
  const { message, atMs, nextTryAtMs } = failure;
  const noted = {
    lastError: message,
    lastFailedAtMs: atMs,
    nextTryAtMs: nextTryAtMs ?? null,
    givenUpAtMs: nextTryAtMs === undefined ? atMs : null,
  };
  if (!isPending(database, operationId)) return;
  database.drizzle
    .insert(removals)
    .values({ operationId, attempts: 1, failingSinceMs: atMs, ...noted })
    .onConflictDoUpdate({
      target: removals.operationId,
      set: {
        ...noted,
        attempts: sql`${removals.attempts} + 1`,
        failingSinceMs: sql`coalesce(${removals.failingSinceMs}, ${atMs})`,
      },
      setWhere: isNull(removals.discardedAtMs),
    })
    .run();
}

/** What the device maps, once it is known. */
export function noteMappedBytes(database: Database, operationId: OperationId, usedBytes: number | undefined): void {
  if (usedBytes === undefined) return;
  database.drizzle.update(removals).set({ usedBytes }).where(eq(removals.operationId, operationId)).run();
}

const isPending = (database: Database, operationId: OperationId): boolean =>
  database.drizzle
    .select({ operationId: outbox.operationId })
    .from(outbox)
    .where(and(eq(outbox.operationId, operationId), eq(outbox.job, job)))
    .get() !== undefined;

const anew = { attempts: 0, nextTryAtMs: null, givenUpAtMs: null } as const;

/** Has these removals tried from the start, also those that were given up or discarded; returns those that there are. */
export function beginRemovalsAnew(database: Database, devices: readonly DeviceName[]): DeviceName[] {
  const found = operationsOf(database, devices);
  database.drizzle
    .update(removals)
    .set({ ...anew, discardedAtMs: null, discardReason: null })
    .where(inArray(removals.operationId, [...found.values()]))
    .run();
  return [...found.keys()];
}

/** The same for all that were given up; returns how many. */
export const forgetGivenUp = (database: Database): number =>
  database.drizzle
    .update(removals)
    .set(anew)
    .where(and(isNotNull(removals.givenUpAtMs), isNull(removals.discardedAtMs)))
    .returning({ operationId: removals.operationId })
    .all().length;

/** Keeps these removals from being tried, until they begin anew; returns those that there are. */
export function discardRemovals(
  database: Database,
  devices: readonly DeviceName[],
  discardReason: string,
): DeviceName[] {
  const found = operationsOf(database, devices);
  const discarded = { discardedAtMs: Date.now(), discardReason, nextTryAtMs: null, givenUpAtMs: null };
  for (const operationId of found.values()) {
    database.drizzle
      .insert(removals)
      .values({ operationId, ...discarded })
      .onConflictDoUpdate({ target: removals.operationId, set: discarded })
      .run();
  }
  return [...found.keys()];
}

export function isDiscarded(database: Database, device: DeviceName): boolean {
  const [operationId] = operationsOf(database, [device]).values();
  if (operationId === undefined) return false;
  const row = database.drizzle.select().from(removals).where(eq(removals.operationId, operationId)).get();
  return (row?.discardedAtMs ?? null) !== null;
}

/** How many removals there are in each state; entries that cannot be read count as pending. */
export function countRemovals(database: Database): { pending: number; failed: number; discarded: number } {
  const all = database.drizzle.select({ count: count() }).from(outbox).where(eq(outbox.job, job)).get()?.count ?? 0;
  const where = (condition: ReturnType<typeof isNotNull>): number =>
    database.drizzle.select({ count: count() }).from(removals).where(condition).get()?.count ?? 0;
  const [failed, discarded] = [where(isNotNull(removals.givenUpAtMs)), where(isNotNull(removals.discardedAtMs))];
  return { pending: Math.max(0, all - failed - discarded), failed, discarded };
}

function operationsOf(database: Database, devices: readonly DeviceName[]): Map<DeviceName, OperationId> {
  const found = new Map<DeviceName, OperationId>();
  for (const device of devices) {
    const row = prepared(database).find.get({ payload: payloadOf(device) });
    if (row !== undefined) found.set(device, row.operationId);
  }
  return found;
}

function deviceIn(payload: unknown): DeviceName | undefined {
  try {
    return parseDeviceName((payload as Partial<Payload>).device ?? "");
  } catch {
    return undefined;
  }
}

const payloadOf = (device: DeviceName): string => JSON.stringify({ device } satisfies Payload);
