// Owns what every snapshotter must do: one suite over real devices and mounts, that runs on any driver.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FsType } from "../../src/domain/devices.ts";
import { freshOperationId, snapshotKey } from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import { findTemplate } from "../../src/metadata/devices.ts";
import { deviceOf } from "../../src/metadata/snapshots.ts";
import { spaceOf } from "../../src/system/file/space.ts";
import { makingOptions } from "../../src/system/mount/filesystems.ts";
import { describeTree } from "../support/trees.ts";
import { all, type Change, directory, removeAll, write } from "./changes.ts";
import { inconsistencies } from "./consistency.ts";
import { describeSnapshotCheckpoints } from "./snapshotter-checkpoints.ts";
import { describeContents } from "./snapshotter-contents.ts";
import {
  Client,
  codeOf,
  mounted,
  mountedInTree,
  openFixture,
  type SnapshotterFixture,
  type TestPool,
} from "./snapshotter-fixture.ts";
import { describeRules } from "./snapshotter-rules.ts";
import { describeScopes } from "./snapshotter-scopes.ts";

export interface SuiteOptions {
  readonly fsType?: FsType;
  /** How high the tower of layers is that is compared with a flat copy. Default: 128, the most an image may have. */
  readonly layers?: number;
}

/** Runs the suite. One pool serves all tests: each has a scope of its own, and leaves the pool consistent. */
export function describeSnapshotter(title: string, testPool: TestPool, options: SuiteOptions = {}): void {
  const { fsType = "ext4", layers = 128 } = options;
  describe(title, () => {
    setDefaultTimeout(300_000);
    let home: string;
    let fixture: SnapshotterFixture;
    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), "snapmill-snapshotter-"));
      fixture = await openFixture(testPool, { directory: home, fsType });
    });
    afterEach(async () => {
      await fixture.snapshotter.cleanup(freshOperationId(), {});
      expect(await inconsistencies(fixture)).toEqual([]);
    });
    afterAll(async () => {
      await fixture[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    });
    const newClient = () => new Client(fixture);
    describeLifeCycle(newClient);
    describeRules(newClient);
    describeContents(newClient, layers);
    describeSnapshotCheckpoints(newClient, () => fixture);
    describeScopes(newClient, () => fixture);
    describeSpace(newClient, () => fixture);
    describeRepetition(newClient, () => fixture);
  });
}

function describeLifeCycle(newClient: () => Client): void {
  test("a snapshot is prepared, mounted, committed while mounted, built upon, seen and removed", async () => {
    const client = newClient();
    const { mounts } = await client.prepare("preparing");
    expect(client.mounts("preparing")).toEqual(mounts);
    await mountedInTree(mounts, async (root) => {
      await all(write("foo", "foo\n"), directory("a"), directory("a/b"), write("a/b/c", "c"))(root);
      await client.commit("committed", "preparing");
      writeFileSync(join(root, "late"), "written after the commit");
    });
    expect(client.stat("committed")).toMatchObject({ kind: "committed", parent: undefined });
    expect(() => client.stat("preparing")).toThrow("does not exist");
    await client.layer("next", "committed", all(write("bar", "bar\n"), write("foo", "bar\n"), removeAll("a/b")));
    expect(client.stat("next")).toMatchObject({ kind: "committed", parent: "committed" });
    const seen = await client.seen("next", describeTree);
    expect([...seen.keys()].sort()).toEqual(["", "a", "bar", "foo"]);
    expect(client.walk()).toEqual(["committed", "next"]);
    expect(await codeOf(client.remove("committed"))).toBe("failed_precondition");
    await client.remove("next");
    await client.remove("committed");
    expect(client.walk()).toEqual([]);
  });

  test("a parent's parent is its own", async () => {
    const client = newClient();
    await client.layer("a", undefined);
    await client.layer("b", "a");
    expect(client.stat(client.stat("b").parent ?? "")).toMatchObject({ key: "a", parent: undefined });
  });

  test("the root of a base is empty, 0755 and root's", async () => {
    const client = newClient();
    const { mounts } = await client.prepare("base");
    await mounted(mounts, (root) => {
      const status = statSync(root);
      expect([status.mode & 0o7777, status.uid, status.gid]).toEqual([0o755, 0, 0]);
      expect([...describeTree(root).keys()]).toEqual([""]);
    });
  });

  test("a view cannot be written to, nor does it change what it shows", async () => {
    const client = newClient();
    await client.layer("shown", undefined, write("file", "content"));
    const { mounts } = await client.view("view", "shown");
    expect(mounts[0]?.options).toContain("ro");
    await mounted(mounts, (root) => {
      expect(readFileSync(join(root, "file"), "utf8")).toBe("content");
      expect(() => writeFileSync(join(root, "file"), "x")).toThrow("EROFS");
    });
    await client.view("view of nothing");
    await client.remove("view of nothing");
    await client.remove("view");
    await client.remove("shown");
  });

  test("the middle of a chain cannot be removed, from the top down everything can", async () => {
    const client = newClient();
    await client.layer("base", undefined);
    await client.layer("middle", "base");
    await client.prepare("top", "middle");
    expect(await codeOf(client.remove("middle"))).toBe("failed_precondition");
    expect(await codeOf(client.remove("base"))).toBe("failed_precondition");
    for (const key of ["top", "middle", "base"]) await client.remove(key);
    expect(client.walk()).toEqual([]);
  });

  test("a key can be used again once it is free, for another kind too", async () => {
    const client = newClient();
    await client.layer("committed-1", undefined);
    await client.prepare("reuse", "committed-1");
    await client.remove("reuse");
    await client.view("reuse", "committed-1");
    await client.remove("reuse");
    await client.prepare("reuse");
    await client.remove("committed-1");
    await client.commit("committed-1", "reuse");
    expect(client.walk()).toEqual(["committed-1"]);
  });
}

const fill = (path: string, bytes: number): Change => {
  return (root) =>
    writeFileSync(
      join(root, path),
      crypto
        .getRandomValues(Buffer.alloc(65536))
        .toString("hex")
        .repeat(bytes / 131072),
    );
};

function describeSpace(newClient: () => Client, fixture: () => SnapshotterFixture): void {
  test("usage counts a snapshot's own data, whatever its kind, and is never negative", async () => {
    const client = newClient();
    await client.layer("base", undefined, fill("four", 4 << 20));
    await client.layer("top", "base", fill("eight", 8 << 20));
    await client.view("view", "top");
    const { mounts } = await client.prepare("active", "top");
    await mounted(mounts, fill("two", 2 << 20));
    const mebibytes = async (key: string) => (await client.usage(key)).sizeBytes / 2 ** 20;
    expect(await mebibytes("top")).toBeWithin(8, 10);
    expect(await mebibytes("active")).toBeWithin(2, 4);
    expect(await mebibytes("view")).toBeWithin(0, 1);
    expect(await mebibytes("base")).toBeGreaterThanOrEqual(4);
  });

  test("a label gives a snapshot a larger device, whose file system grows; its children are never smaller", async () => {
    const client = newClient();
    await client.layer("base", undefined, write("file", "kept"));
    const sizeOf = async (key: string) =>
      await mounted(client.mounts(key), async (root) => {
        expect(readFileSync(join(root, "file"), "utf8")).toBe("kept");
        const { totalBytes } = await spaceOf(root);
        return totalBytes / 2 ** 20;
      });
    await client.prepare("same", "base", { [labelNames.maxSize]: "1MiB" });
    await client.prepare("larger", "base", { [labelNames.maxSize]: "512MiB" });
    const [same, larger] = [await sizeOf("same"), await sizeOf("larger")];
    expect(larger).toBeWithin(400, 513);
    expect(same).toBeLessThan(larger);
    await client.commit("large", "larger");
    await client.prepare("child", "large", { [labelNames.maxSize]: "256MiB" });
    expect(await sizeOf("child")).toBe(larger);
    expect(await codeOf(client.prepare("bad", undefined, { [labelNames.maxSize]: "large" }))).toBe("invalid_argument");
    expect(await codeOf(client.prepare("bad", undefined, { [labelNames.maxSize]: "1MiB" }))).toBe("invalid_argument");
  });

  test("a base is a snapshot of a template that is formatted once", async () => {
    const client = newClient();
    await client.prepare("first");
    const before = (await fixture().driver.list()).length;
    await client.prepare("second");
    expect((await fixture().driver.list()).length).toBe(before + 1);
    // Known by all that mkfs was told: another version's arguments make another template.
    const { fsType, sizeBytes } = deviceOf(fixture().database, client.scope, snapshotKey("first"));
    const key = `${fsType}, ${sizeBytes} bytes, ${makingOptions(fsType).join(" ")}`;
    expect(findTemplate(fixture().database, key)).toMatchObject({ role: "template" });
  });

  test("a mounted snapshot is not removed, and goes on; unmounted it is", async () => {
    const client = newClient();
    const { mounts } = await client.prepare("busy");
    await mounted(mounts, async (root) => {
      expect(await codeOf(client.remove("busy"))).toBe("failed_precondition");
      expect(client.stat("busy").kind).toBe("active");
      writeFileSync(join(root, "still"), "writable");
    });
    expect(await mounted(client.mounts("busy"), (root) => readFileSync(join(root, "still"), "utf8"))).toBe("writable");
    await client.remove("busy");
    expect(client.walk()).toEqual([]);
  });

  test("a pool is not reset while a device is in use, and is empty afterwards", async () => {
    const client = newClient();
    await client.layer("committed", undefined);
    const { mounts } = await client.prepare("active", "committed");
    await mounted(mounts, async () => {
      expect(await codeOf(fixture().snapshotter["reset-pool"](freshOperationId(), {}))).toBe("failed_precondition");
    });
    expect(client.walk()).toEqual(["active", "committed"]);
    const { removedDevices } = await fixture().snapshotter["reset-pool"](freshOperationId(), {});
    expect(removedDevices).toBeGreaterThanOrEqual(3);
    expect(client.walk()).toEqual([]);
    expect(await fixture().driver.list()).toEqual([]);
    await client.layer("again", undefined);
  });
}

function describeRepetition(newClient: () => Client, fixture: () => SnapshotterFixture): void {
  test("the same operation has its effect once and gets the same answer, failure too", async () => {
    const client = newClient();
    const { snapshotter } = fixture();
    const operationId = freshOperationId();
    const request = client.request("key");
    const first = await snapshotter.prepare(operationId, request);
    const devices = (await fixture().driver.list()).length;
    expect(await snapshotter.prepare(operationId, request)).toEqual(first);
    expect((await fixture().driver.list()).length).toBe(devices);
    expect(await codeOf(snapshotter.prepare(operationId, client.request("other")))).toBe("invalid_argument");
    expect(await codeOf(snapshotter.view(operationId, request))).toBe("invalid_argument");
    const removal = freshOperationId();
    await snapshotter.remove(removal, { scope: client.scope, key: snapshotKey("key") });
    await snapshotter.remove(removal, { scope: client.scope, key: snapshotKey("key") });
    const failing = freshOperationId();
    const childless = client.request("child", "parent");
    expect(await codeOf(snapshotter.prepare(failing, childless))).toBe("not_found");
    await client.layer("parent", undefined);
    expect(await codeOf(snapshotter.prepare(failing, childless))).toBe("not_found");
  });

  test("of 64 callers at once on one key, one prepares and 63 are told that it exists", async () => {
    const client = newClient();
    const codes = await Promise.all(Array.from({ length: 64 }, () => codeOf(client.prepare("contended"))));
    expect(codes.filter((code) => code === "no error")).toHaveLength(1);
    expect(codes.filter((code) => code === "already_exists")).toHaveLength(63);
    expect(client.walk()).toEqual(["contended"]);
  });

  test("calls at once take effect in the order in which they were made", async () => {
    const client = newClient();
    const calls = [
      client.prepare("a"),
      client.update("a", { step: "1" }),
      client.update("a", { step: "2" }),
      client.commit("b", "a"),
      client.update("b", { step: "3" }),
      client.prepare("c", "b"),
    ];
    await Promise.all(calls);
    expect(client.stat("b").labels).toEqual({ step: "3" });
    expect(client.stat("c").parent as string).toBe("b");
  });

  test("can be drained twice", async () => {
    const client = newClient();
    const prepared = client.prepare("drained");
    await fixture().snapshotter.drain();
    await fixture().snapshotter.drain();
    expect(client.walk()).toEqual(["drained"]);
    await prepared;
  });
}
