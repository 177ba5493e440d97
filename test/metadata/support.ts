// Owns what the tests of metadata share: a database with a pool, and functions to fill it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freshOperationId, poolName, type Scope, scope, snapshotKey } from "../../src/domain/identifiers.ts";
import type { Labels } from "../../src/domain/snapshots.ts";
import { type Database, openDatabase } from "../../src/metadata/database.ts";
import { insertDevice, setDeviceState } from "../../src/metadata/devices.ts";
import { takePoolOver } from "../../src/metadata/pool.ts";
import { commitSnapshot, insertSnapshot } from "../../src/metadata/snapshot-changes.ts";
import { findSnapshot, type SnapshotRecord } from "../../src/metadata/snapshots.ts";

export const anOperation = freshOperationId;
export const testScope = scope("test");

/** A new database with a pool, deleted with all its directory when it is disposed of. */
export function temporaryDatabase(): Database {
  const directory = mkdtempSync(join(tmpdir(), "snapmill-metadata-"));
  const database = openDatabase(join(directory, "metadata.db"), { mode: "readwrite" });
  takePoolOver(database, { name: poolName("pool"), driver: "reflink", fsType: "ext4", deviceSizeBytes: 2 ** 30 });
  const dispose = () => {
    database.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return { ...database, close: dispose, [Symbol.dispose]: dispose };
}

export const newDevice = (database: Database) =>
  insertDevice(database, { fsType: "ext4", sizeBytes: 2 ** 30, operationId: anOperation() });

interface Given {
  readonly parent?: SnapshotRecord;
  readonly labels?: Labels;
  readonly inScope?: Scope;
}

export function addActive(database: Database, key: string, given: Given = {}): SnapshotRecord {
  const device = newDevice(database);
  setDeviceState(database, device.number, "activated");
  insertSnapshot(database, {
    scope: given.inScope ?? testScope,
    key: snapshotKey(key),
    kind: "active",
    parentNumber: given.parent?.number,
    deviceNumber: device.number,
    labels: given.labels ?? {},
  });
  return findSnapshot(database, given.inScope ?? testScope, snapshotKey(key));
}

export function addCommitted(database: Database, name: string, usedBytes: number, given: Given = {}): SnapshotRecord {
  const active = addActive(database, `${name} (active)`, given);
  commitSnapshot(database, active, {
    name: snapshotKey(name),
    deviceNumber: active.deviceNumber,
    usedBytes,
    labels: given.labels ?? {},
  });
  return findSnapshot(database, active.scope, snapshotKey(name));
}

/** What `body` throws; undefined when it does not. */
export function thrownBy(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return undefined;
}
