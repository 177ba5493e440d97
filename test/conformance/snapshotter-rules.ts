// Owns the rules of names, labels, times and filters that every snapshotter must keep.
import { expect, test } from "bun:test";
import { labelNames } from "../../src/domain/snapshots.ts";
import { type Client, codeOf } from "./snapshotter-fixture.ts";

/** Declares the tests of rules. */
export function describeRules(newClient: () => Client): void {
  test("one key names one snapshot, in every pairing", async () => {
    const client = newClient();
    await client.layer("committed", undefined);
    await client.prepare("active", "committed");
    await client.view("view", "committed");
    for (const taken of ["committed", "active", "view"]) {
      expect(await codeOf(client.prepare(taken, "committed"))).toBe("already_exists");
      expect(await codeOf(client.view(taken, "committed"))).toBe("already_exists");
      expect(await codeOf(client.commit(taken, "active"))).toBe("already_exists");
    }
    await newClient().prepare("active");
  });

  test("the checks come in containerd's order", async () => {
    const client = newClient();
    await client.layer("committed", undefined);
    await client.prepare("active");
    expect(await codeOf(client.prepare("active", "missing"))).toBe("not_found");
    expect(await codeOf(client.prepare("active", "active"))).toBe("invalid_argument");
    expect(await codeOf(client.view("other", "active"))).toBe("invalid_argument");
    expect(await codeOf(client.commit("committed", "missing"))).toBe("not_found");
    await client.view("view", "committed");
    expect(await codeOf(client.commit("committed", "view"))).toBe("already_exists");
    expect(await codeOf(client.commit("new", "view"))).toBe("failed_precondition");
    expect(await codeOf(client.commit("new", "committed"))).toBe("failed_precondition");
    expect(await codeOf(client.remove("missing"))).toBe("not_found");
    expect(await codeOf(client.update("missing", {}, "nonsense"))).toBe("not_found");
    expect(() => client.mounts("committed")).toThrow("is committed");
    await expect(client.usage("missing")).rejects.toMatchObject({ code: "not_found" });
    expect(client.walk()).toEqual(["active", "committed", "view"]);
  });

  test("times begin at creation, again at commit, and move on with an update", async () => {
    const client = newClient();
    const before = Date.now();
    await client.prepare("active");
    const active = client.stat("active");
    expect(active.createdAtMs).toBeWithin(before, Date.now() + 1);
    expect(active.updatedAtMs).toBe(active.createdAtMs);
    await Bun.sleep(2);
    const updating = Date.now();
    const updated = await client.update("active", { a: "1" });
    expect(updated.createdAtMs).toBe(active.createdAtMs);
    expect(updated.updatedAtMs).toBeWithin(updating, Date.now() + 1);
    await Bun.sleep(2);
    await client.commit("committed", "active");
    const committed = client.stat("committed");
    expect(committed.createdAtMs).toBeGreaterThan(updated.updatedAtMs);
    expect(committed.updatedAtMs).toBe(committed.createdAtMs);
  });

  test("labels are kept, replaced at commit, and updated through a mask", async () => {
    const client = newClient();
    await client.prepare("active", undefined, { a: "1", gone: "", b: "2" });
    const { [labelNames.fsType]: fsType, ...own } = client.stat("active").labels;
    expect(fsType).toBe(client.mounts("active")[0]?.type);
    expect(own).toEqual({ a: "1", b: "2" });
    await client.commit("committed", "active", { c: "3" });
    expect(client.stat("committed").labels).toEqual({ c: "3", [labelNames.fsType]: fsType ?? "" });
    const masked = await client.update("committed", { a: "new", c: "", d: "unnamed" }, "labels.a", "labels.c");
    expect(masked.labels).toEqual({ a: "new", [labelNames.fsType]: fsType ?? "" });
    const replaced = await client.update("committed", { only: "this" }, "labels");
    expect(replaced.labels).toEqual({ only: "this" });
    expect(client.stat("committed")).toMatchObject(replaced);
    expect(await codeOf(client.update("committed", {}, "labels.a", "parent"))).toBe("invalid_argument");
    await client.prepare("child", "committed");
    expect(client.stat("child").labels).toEqual({ [labelNames.fsType]: fsType ?? "" });
  });

  test("a walk finds what its filters say, and its snapshots can be looked at meanwhile", async () => {
    const client = newClient();
    await client.layer("c1", undefined);
    await client.layer("c2", "c1");
    await client.prepare("a1", "c2", { role: "worker", "x.y/z": "1" });
    await client.prepare("a2", undefined, { role: "idle" });
    await client.view("v1", "c2", { role: "worker" });
    await client.view("v2");
    for (const key of client.walk()) expect(client.stat(key).key as string).toBe(key);
    expect(client.walk("name==a1")).toEqual(["a1"]);
    expect(client.walk("name!=a1")).toEqual(["a2", "c1", "c2", "v1", "v2"]);
    expect(client.walk("name~=^[ac]1$")).toEqual(["a1", "c1"]);
    expect(client.walk("parent==c2")).toEqual(["a1", "v1"]);
    expect(client.walk("kind==committed")).toEqual(["c1", "c2"]);
    expect(client.walk("kind!=committed,parent==c2")).toEqual(["a1", "v1"]);
    expect(client.walk("labels.role")).toEqual(["a1", "a2", "v1"]);
    expect(client.walk("labels.role==worker")).toEqual(["a1", "v1"]);
    expect(client.walk('labels."x.y/z"==1,kind==active')).toEqual(["a1"]);
    expect(client.walk("labels.role==idle", "name==c1")).toEqual(["a2", "c1"]);
    expect(client.walk("name==nothing")).toEqual([]);
  });
}
