// Tests the records of snapshots: reading, walking, mounts and usage.
import { describe, expect, test } from "bun:test";
import { type DeviceName, scope, snapshotKey } from "../../src/domain/identifiers.ts";
import { transact } from "../../src/metadata/database.ts";
import { setDeviceState } from "../../src/metadata/devices.ts";
import { dropSnapshot, replaceLabels } from "../../src/metadata/snapshot-changes.ts";
import { childOf, deviceOf, findSnapshot, mountsOf, sharesDevice, storedUsage } from "../../src/metadata/snapshots.ts";
import { pageStatements, walkSnapshots } from "../../src/metadata/walk.ts";
import { addActive, addCommitted, temporaryDatabase, testScope, thrownBy } from "./support.ts";

const devicePath = (name: DeviceName) => `/run/dev/${name}`;

describe("a snapshot", () => {
  test("is read with its parent's key and its labels, whatever they contain", () => {
    using database = temporaryDatabase();
    const labels = { 'quo"te': "\\ 牛 \n", "a.b/c": "{}" };
    const parent = addCommitted(database, "parent", 10);
    addActive(database, "child of\tparent", { parent, labels });
    const child = findSnapshot(database, testScope, snapshotKey("child of\tparent"));
    expect(child).toMatchObject({ kind: "active", parent: "parent", labels, usedBytes: undefined });
    expect(child.createdAtMs).toBe(child.updatedAtMs);
    expect(childOf(database, parent)).toBe(child.key);
    expect(childOf(database, child)).toBeUndefined();
  });

  test("is found in its own scope only", () => {
    using database = temporaryDatabase();
    addActive(database, "key");
    const error = thrownBy(() => findSnapshot(database, scope("other"), snapshotKey("key")));
    expect(error).toMatchObject({ code: "not_found" });
    addActive(database, "key", { inScope: scope("other") });
  });

  test("has only those labels written that a change makes different", () => {
    using database = temporaryDatabase();
    const snapshot = addActive(database, "key", { labels: { kept: "1", changed: "1", gone: "1" } });
    database.drizzle.run("create temporary table written (name text)");
    for (const [verb, row] of Object.entries({ insert: "new", update: "new", delete: "old" })) {
      const note = `insert into written values (${row}.name)`;
      database.drizzle.run(`create temporary trigger on_${verb} after ${verb} on labels begin ${note}; end`);
    }
    replaceLabels(database, snapshot, { kept: "1", changed: "2", fresh: "1" });
    expect(findSnapshot(database, testScope, snapshot.key).labels).toEqual({ kept: "1", changed: "2", fresh: "1" });
    const written = database.drizzle.all<{ readonly name: string }>("select name from written");
    expect(written.map(({ name }) => name).sort()).toEqual(["changed", "fresh", "gone"]);
  });

  test("loses its old labels when they are replaced, and all of them with itself", () => {
    using database = temporaryDatabase();
    const snapshot = addActive(database, "key", { labels: { a: "1" } });
    replaceLabels(database, snapshot, { b: "2" });
    expect(findSnapshot(database, testScope, snapshot.key).labels).toEqual({ b: "2" });
    dropSnapshot(database, snapshot);
    expect(database.drizzle.all("select * from labels")).toEqual([]);
  });

  test("cannot go while it has children: the database itself refuses", () => {
    using database = temporaryDatabase();
    const parent = addCommitted(database, "parent", 10);
    addActive(database, "child", { parent });
    expect(() => dropSnapshot(database, parent)).toThrow("FOREIGN KEY");
  });

  test("is mounted read-write when active, and says so when it cannot be mounted", () => {
    using database = temporaryDatabase();
    const active = addActive(database, "active");
    addCommitted(database, "committed", 10);
    const { deviceName } = deviceOf(database, testScope, active.key);
    expect(mountsOf(database, testScope, active.key, devicePath)).toEqual([
      { type: "ext4", source: `/run/dev/${deviceName}`, options: ["rw"] },
    ]);
    const mount = (key: string) => thrownBy(() => mountsOf(database, testScope, snapshotKey(key), devicePath));
    expect(mount("committed")).toMatchObject({ code: "failed_precondition" });
    expect(mount("missing")).toMatchObject({ code: "not_found" });
    setDeviceState(database, active.deviceNumber, "faulty");
    expect(mount("active")).toMatchObject({ code: "failed_precondition" });
  });

  test("committed uses what it was measured at without its parent's, and never less than nothing", () => {
    using database = temporaryDatabase();
    const base = addCommitted(database, "base", 1000);
    addCommitted(database, "more", 1500, { parent: base });
    addCommitted(database, "less", 900, { parent: base });
    addActive(database, "active", { parent: base });
    const usage = (key: string) => storedUsage(database, testScope, snapshotKey(key));
    expect(usage("base")).toEqual({ sizeBytes: 1000, inodes: 0 });
    expect(usage("more")).toEqual({ sizeBytes: 500, inodes: 0 });
    expect(usage("less")).toEqual({ sizeBytes: 0, inodes: 0 });
    expect(usage("active")).toBeUndefined();
    expect(sharesDevice(database, base)).toBe(false);
  });
});

describe("a walk", () => {
  test("visits a scope's snapshots in order, over many pages, also while they change", () => {
    using database = temporaryDatabase();
    const keys = Array.from({ length: 700 }, (_, index) => `key ${String(index).padStart(4, "0")}`);
    transact(database, () => {
      for (const key of keys) addActive(database, key);
    });
    addActive(database, "key 0000", { inScope: scope("other") });
    expect([...walkSnapshots(database, { scope: testScope })].map(({ key }) => key as string)).toEqual(keys);
    const seen: string[] = [];
    transact(database, () => {
      for (const { key } of walkSnapshots(database, { scope: testScope })) {
        seen.push(key);
        dropSnapshot(database, findSnapshot(database, testScope, key));
      }
    });
    expect(seen).toEqual(keys);
  });

  test("with filters finds the same by an index as by looking at everything", () => {
    using database = temporaryDatabase();
    const base = addCommitted(database, "base", 1, { labels: { layer: "0" } });
    transact(database, () => {
      for (let index = 0; index < 600; index += 1) {
        addActive(database, `a${index}`, {
          labels: { layer: String(index % 3), "x.y/z": "v" },
          ...(index % 2 === 0 && { parent: base }),
        });
      }
    });
    addActive(database, "a1", { inScope: scope("other"), labels: { layer: "1" } });
    const count = (...filters: string[]) => [...walkSnapshots(database, { scope: testScope, filters })].length;
    expect(count("labels.layer==1")).toBe(200);
    expect(count("labels.layer~=^1$")).toBe(200);
    expect(count('labels."x.y/z"==v,parent==base')).toBe(300);
    expect(count("parent==base,labels.layer==0")).toBe(100);
    expect(count("parent==missing")).toBe(0);
    expect(count("kind==active")).toBe(600);
    expect(count("name==a17")).toBe(1);
    expect(count("name==a17", "labels.layer==0")).toBe(202);
  });

  test.each([
    ["every", "snapshots_scope_key (scope=? AND key>?)"],
    ["name", "snapshots_scope_key (scope=? AND key=?)"],
    ["label", "labels_name_value (name=? AND value=?)"],
    ["parent", "snapshots_parent (parent=?)"],
  ] as const)("by %s reads an index, and no snapshot that the index has not found", (lookup, index) => {
    using database = temporaryDatabase();
    const { sql } = pageStatements(database)[lookup].getQuery();
    const plan = database.drizzle.all<unknown>(`explain query plan ${sql.replaceAll("?", "1")}`);
    const searches = JSON.stringify(plan).match(/(SEARCH|SCAN) "?snapshots\b[^"]*/g) ?? [];
    expect(JSON.stringify(plan)).toContain(index);
    expect(searches.filter((search) => search.includes("SCAN"))).toEqual([]);
    if (lookup === "label" || lookup === "parent") expect(searches.join()).not.toContain("scope=? AND key>?");
  });

  test("refuses a bad filter before the first snapshot", () => {
    using database = temporaryDatabase();
    expect(() => walkSnapshots(database, { scope: testScope, filters: ["name=="] })).toThrow("expected a value");
  });
});
