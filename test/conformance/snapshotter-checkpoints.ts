// Owns what a checkpoint must be on every driver: a committed snapshot of one moment, under an active one that goes on.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freshOperationId, snapshotKey } from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import { deviceUnder } from "../../src/metadata/snapshots.ts";
import { hasNothingToReplay } from "../../src/system/mount/rest.ts";
import { describeTree } from "../support/trees.ts";
import { all, directory, removeAll, write } from "./changes.ts";
import { type Client, codeOf, mounted, mountedInTree, type SnapshotterFixture } from "./snapshotter-fixture.ts";

const namesIn = (root: string): string[] => readdirSync(root).sort();

/** Declares the tests of checkpoints. */
export function describeSnapshotCheckpoints(newClient: () => Client, fixture: () => SnapshotterFixture): void {
  test("checkpoints of a mounted snapshot are layers of one moment each, and it goes on above the last", async () => {
    const client = newClient();
    await client.layer("base", undefined, all(directory("a"), write("a/b", "of base")));
    const { mounts } = await client.prepare("active", "base", { kept: "1" });
    await mountedInTree(mounts, async (root) => {
      write("first", "first")(root);
      await client.checkpoint("one", "active", { of: "one" });
      await all(removeAll("a"), write("second", "second"))(root);
      await client.checkpoint("two", "active");
      write("third", "third")(root);
    });
    expect(client.stat("one")).toMatchObject({ kind: "committed", parent: "base", labels: { of: "one" } });
    expect(client.stat("two")).toMatchObject({ kind: "committed", parent: "one" });
    expect(client.stat("active")).toMatchObject({ kind: "active", parent: "two", labels: { kept: "1" } });
    expect(client.mounts("active")).toEqual(mounts);
    await client.commit("three", "active");
    expect(client.stat("three").parent as string).toBe("two");
    expect(await client.seen("one", namesIn)).toEqual(["a", "first"]);
    expect(await client.seen("two", namesIn)).toEqual(["first", "second"]);
    expect([...(await client.seen("three", describeTree)).keys()].sort()).toEqual(["", "first", "second", "third"]);
    for (const key of ["base", "one", "two"]) expect(await codeOf(client.remove(key))).toBe("failed_precondition");
    for (const key of ["three", "two", "one", "base"]) await client.remove(key);
    expect(client.walk()).toEqual([]);
  });

  test("a checkpoint of a base that is not mounted is a base; children of it see nothing of what follows", async () => {
    const client = newClient();
    const { mounts } = await client.prepare("active");
    await mounted(mounts, write("file", "before"));
    await client.checkpoint("base", "active");
    await mounted(mounts, write("file", "after"));
    expect(client.stat("base")).toMatchObject({ kind: "committed", parent: undefined });
    await client.prepare("child", "base");
    const textIn = (root: string) => readFileSync(join(root, "file"), "utf8");
    expect(await mounted(client.mounts("child"), textIn)).toBe("before");
    expect(await mounted(client.mounts("active"), textIn)).toBe("after");
    await client.remove("child");
    expect(await codeOf(client.remove("base"))).toBe("failed_precondition");
    // What came since the checkpoint goes, and the checkpoint stays.
    await client.remove("active");
    expect(await client.seen("base", textIn)).toBe("before");
    await client.remove("base");
  });

  test("a file system that is written to all the time is whole in each checkpoint, with nothing to replay", async () => {
    const client = newClient();
    const { mounts } = await client.prepare("busy");
    const { database, driver } = fixture();
    await mountedInTree(mounts, async (root) => {
      const script = `i=0; while :; do echo $i > ${root}/$i; i=$((i+1)); done`;
      const writer = Bun.spawn(["sh", "-c", script], { stderr: "ignore" });
      try {
        for (const name of ["c1", "c2", "c3"]) await client.checkpoint(name, "busy");
      } finally {
        writer.kill("SIGKILL");
        await writer.exited;
      }
    });
    for (const name of ["c1", "c2", "c3"]) {
      const device = deviceUnder(database, client.stat(name));
      if (device.fsType === "ext4") {
        await driver.activate(device);
        expect(await hasNothingToReplay(driver.devicePath(device.deviceName))).toBe(true);
        await driver.deactivate(device);
      }
      const numbers = (await client.seen(name, namesIn)).map(Number).sort((one, other) => one - other);
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, number) => number));
    }
  });

  test("usage counts what came since the last checkpoint, on both sides of it", async () => {
    const client = newClient();
    const { mounts } = await client.prepare("active");
    const fill = (name: string, mebibytes: number) => (root: string) =>
      writeFileSync(
        join(root, name),
        crypto
          .getRandomValues(Buffer.alloc(65_536))
          .toString("hex")
          .repeat(8 * mebibytes),
      );
    const mebibytes = async (key: string) => (await client.usage(key)).sizeBytes / 2 ** 20;
    await client.checkpoint("empty", "active");
    await mounted(mounts, fill("four", 4));
    await client.checkpoint("four", "active");
    await mounted(mounts, fill("two", 2));
    expect(await mebibytes("four")).toBeWithin(4, 6);
    expect(await mebibytes("active")).toBeWithin(2, 4);
    await client.commit("two", "active");
    expect(await mebibytes("two")).toBeWithin(2, 4);
  });

  test("labels of the committed one are its own, and those of the active one replaced only if they are given", async () => {
    const client = newClient();
    await client.prepare("active", undefined, { mine: "1" });
    const { [labelNames.fsType]: fsType = "" } = client.stat("active").labels;
    const before = client.stat("active");
    await Bun.sleep(2);
    await client.checkpoint("a", "active", { a: "1", gone: "" });
    expect(client.stat("a").labels).toEqual({ a: "1", [labelNames.fsType]: fsType });
    expect(client.stat("active").labels).toEqual(before.labels);
    expect(client.stat("active").createdAtMs).toBe(before.createdAtMs);
    expect(client.stat("active").updatedAtMs).toBeGreaterThan(before.updatedAtMs);
    await client.checkpoint("b", "active", {}, { next: "2" });
    expect(client.stat("active").labels).toEqual({ next: "2", [labelNames.fsType]: fsType });
    expect(client.walk("parent==b")).toEqual(["active"]);
  });

  test("a checkpoint is refused as a commit is, and leaves nothing", async () => {
    const client = newClient();
    await client.layer("committed", undefined);
    await client.prepare("active", "committed");
    await client.view("view", "committed");
    const { driver } = fixture();
    const devices = (await driver.list()).length;
    expect(await codeOf(client.checkpoint("committed", "missing"))).toBe("not_found");
    expect(await codeOf(newClient().checkpoint("new", "active"))).toBe("not_found");
    for (const taken of ["committed", "active", "view"])
      expect(await codeOf(client.checkpoint(taken, "active"))).toBe("already_exists");
    expect(await codeOf(client.checkpoint("committed", "view"))).toBe("already_exists");
    expect(await codeOf(client.checkpoint("new", "view"))).toBe("failed_precondition");
    expect(await codeOf(client.checkpoint("new", "committed"))).toBe("failed_precondition");
    const long = { long: "x".repeat(5000) };
    expect(await codeOf(client.checkpoint("new", "active", long))).toBe("invalid_argument");
    expect(await codeOf(client.checkpoint("new", "active", {}, long))).toBe("invalid_argument");
    expect(client.walk()).toEqual(["active", "committed", "view"]);
    expect((await driver.list()).length).toBe(devices);
    // The same name in another scope is another snapshot.
    const other = newClient();
    await other.prepare("active");
    await other.checkpoint("committed", "active");
  });

  test("the same checkpoint is taken once and gets the same answer, also after others", async () => {
    const client = newClient();
    const { snapshotter } = fixture();
    const { mounts } = await client.prepare("active");
    const operationId = freshOperationId();
    const request = { ...client.request("active"), name: snapshotKey("one") };
    const first = await snapshotter.checkpoint(operationId, request);
    await mounted(mounts, write("later", "later"));
    await client.checkpoint("two", "active");
    const devices = (await fixture().driver.list()).length;
    expect(await snapshotter.checkpoint(operationId, request)).toEqual(first);
    expect((await fixture().driver.list()).length).toBe(devices);
    expect(await client.seen("one", namesIn)).toEqual([]);
    expect(client.stat("active").parent as string).toBe("two");
    const other = { ...request, name: snapshotKey("other") };
    expect(await codeOf(snapshotter.checkpoint(operationId, other))).toBe("invalid_argument");
  });

  test("calls at once take effect in their order, and of two checkpoints with one name the second is refused", async () => {
    const client = newClient();
    const codes = await Promise.all(
      [
        client.prepare("active"),
        client.checkpoint("one", "active"),
        client.checkpoint("one", "active"),
        client.checkpoint("two", "active"),
        client.prepare("child", "two"),
        client.commit("three", "active"),
        client.checkpoint("four", "active"),
      ].map((call) => codeOf(call)),
    );
    const none = "no error";
    expect(codes).toEqual([none, none, "already_exists", none, none, none, "not_found"]);
    expect(["three", "two", "one"].map((key) => client.stat(key).parent as string | undefined)).toEqual([
      "two",
      "one",
      undefined,
    ]);
    expect(client.stat("child").parent as string).toBe("two");
  });
}
