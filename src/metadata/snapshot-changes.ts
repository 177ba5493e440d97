// Room: metadata. Owns how the records of snapshots and their labels change. Every function belongs in a transaction.
import { and, eq, sql } from "drizzle-orm";
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import type { Labels, SnapshotKind } from "../domain/snapshots.ts";
import { type Database, statements } from "./database.ts";
import { labels, snapshots } from "./schema.ts";
import type { SnapshotRecord } from "./snapshots.ts";

const prepared = statements((handle) => ({
  insert: handle
    .insert(snapshots)
    .values({
      scope: sql.placeholder("scope"),
      key: sql.placeholder("key"),
      kind: sql.placeholder("kind"),
      parent: sql.placeholder("parent"),
      device: sql.placeholder("device"),
      usedBytes: sql.placeholder("usedBytes"),
      createdAtMs: sql.placeholder("createdAtMs"),
      updatedAtMs: sql.placeholder("nowMs"),
    })
    .returning({ number: snapshots.number })
    .prepare(),
  commit: handle
    .update(snapshots)
    .set({
      key: sql`${sql.placeholder("name")}`,
      kind: "committed",
      device: sql`${sql.placeholder("device")}`,
      usedBytes: sql`${sql.placeholder("usedBytes")}`,
      createdAtMs: sql`${sql.placeholder("nowMs")}`,
      updatedAtMs: sql`${sql.placeholder("nowMs")}`,
    })
    .where(eq(snapshots.number, sql.placeholder("number")))
    .prepare(),
  touch: handle
    .update(snapshots)
    .set({ updatedAtMs: sql`${sql.placeholder("nowMs")}` })
    .where(eq(snapshots.number, sql.placeholder("number")))
    .prepare(),
  drop: handle
    .delete(snapshots)
    .where(eq(snapshots.number, sql.placeholder("number")))
    .prepare(),
  labels: handle
    .select({ name: labels.name, value: labels.value })
    .from(labels)
    .where(eq(labels.snapshot, sql.placeholder("snapshot")))
    .prepare(),
  setLabel: handle
    .insert(labels)
    .values({
      snapshot: sql.placeholder("snapshot"),
      name: sql.placeholder("name"),
      value: sql.placeholder("value"),
    })
    .onConflictDoUpdate({ target: [labels.snapshot, labels.name], set: { value: sql`excluded.value` } })
    .prepare(),
  dropLabel: handle
    .delete(labels)
    .where(and(eq(labels.snapshot, sql.placeholder("snapshot")), eq(labels.name, sql.placeholder("name"))))
    .prepare(),
}));

export interface NewSnapshot {
  readonly scope: Scope;
  readonly key: SnapshotKey;
  readonly kind: SnapshotKind;
  readonly parentNumber: number | undefined;
  readonly deviceNumber: number;
  /** Of a committed one: see SnapshotRecord. */
  readonly usedBytes?: number | undefined;
  readonly labels: Labels;
  /** Default: now. */
  readonly createdAtMs?: number;
}

/** Returns its number. */
export function insertSnapshot(database: Database, snapshot: NewSnapshot): number {
  const { scope, key, kind } = snapshot;
  const nowMs = Date.now();
  const row = prepared(database).insert.get({
    scope,
    key,
    kind,
    parent: snapshot.parentNumber ?? null,
    device: snapshot.deviceNumber,
    usedBytes: snapshot.usedBytes ?? null,
    createdAtMs: snapshot.createdAtMs ?? nowMs,
    nowMs,
  });
  changeLabels(database, row.number, snapshot.labels);
  return row.number;
}

export interface Commit {
  readonly name: SnapshotKey;
  readonly deviceNumber: number;
  readonly usedBytes: number;
  readonly labels: Labels;
}

/** Makes an active snapshot a committed one: new name, labels and times. */
export function commitSnapshot(database: Database, snapshot: SnapshotRecord, commit: Commit): void {
  const nowMs = Date.now();
  const { name, deviceNumber, usedBytes } = commit;
  prepared(database).commit.run({ number: snapshot.number, name, device: deviceNumber, usedBytes, nowMs });
  changeLabels(database, snapshot.number, commit.labels);
}

/** Replaces a snapshot's labels and moves its time of update on, to the one that it returns. */
export function replaceLabels(database: Database, snapshot: SnapshotRecord, replacement: Labels): number {
  const nowMs = Date.now();
  prepared(database).touch.run({ number: snapshot.number, nowMs });
  changeLabels(database, snapshot.number, replacement);
  return nowMs;
}

/** Writes only what differs: a label that is written costs a page of the table and of each of its indexes. */
function changeLabels(database: Database, snapshot: number, replacement: Labels): void {
  const added = new Map(Object.entries(replacement));
  for (const { name, value } of prepared(database).labels.all({ snapshot })) {
    if (added.get(name) === value) added.delete(name);
    else if (!added.has(name)) prepared(database).dropLabel.run({ snapshot, name });
  }
  for (const [name, value] of added) prepared(database).setLabel.run({ snapshot, name, value });
}

export function dropSnapshot(database: Database, snapshot: Pick<SnapshotRecord, "number">): void {
  prepared(database).drop.run({ number: snapshot.number });
}
