// Room: metadata. Owns how the records of snapshots and their labels change. Every function belongs in a transaction.
import { eq, sql } from "drizzle-orm";
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
  insertLabel: handle
    .insert(labels)
    .values({
      snapshot: sql.placeholder("snapshot"),
      name: sql.placeholder("name"),
      value: sql.placeholder("value"),
    })
    .prepare(),
  dropLabels: handle
    .delete(labels)
    .where(eq(labels.snapshot, sql.placeholder("snapshot")))
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

export function insertSnapshot(database: Database, snapshot: NewSnapshot): void {
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
  insertLabels(database, row.number, snapshot.labels);
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
  prepared(database).dropLabels.run({ snapshot: snapshot.number });
  insertLabels(database, snapshot.number, commit.labels);
}

/** Replaces a snapshot's labels and moves its time of update on, to the one that it returns. */
export function replaceLabels(database: Database, snapshot: SnapshotRecord, replacement: Labels): number {
  const nowMs = Date.now();
  prepared(database).touch.run({ number: snapshot.number, nowMs });
  prepared(database).dropLabels.run({ snapshot: snapshot.number });
  insertLabels(database, snapshot.number, replacement);
  return nowMs;
}

function insertLabels(database: Database, snapshot: number, added: Labels): void {
  for (const [name, value] of Object.entries(added)) prepared(database).insertLabel.run({ snapshot, name, value });
}

export function dropSnapshot(database: Database, snapshot: Pick<SnapshotRecord, "number">): void {
  prepared(database).drop.run({ number: snapshot.number });
}
