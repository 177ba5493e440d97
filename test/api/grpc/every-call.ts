// Owns the test of all calls of the service on the life of one snapshot, for any driver and file system.
import { expect } from "bun:test";
import { statSync } from "node:fs";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Kind } from "../../../src/api/grpc/generated/snapshots_pb.js";
import type { FsType } from "../../../src/domain/devices.ts";
import { failureOf, type SnapshotsClient } from "./client.ts";

/** How a writable snapshot is mounted: its file system, and the options besides `rw`. */
interface MountShape {
  readonly type: FsType;
  readonly options: readonly string[];
}

/** Makes all ten calls on its own snapshots in an empty scope, and leaves it empty. */
export async function expectEveryCall(client: SnapshotsClient, { type, options }: MountShape): Promise<void> {
  const before = Date.now();
  const prepared = await client.call("prepare", { key: "ns/1/a key", labels: { "containerd.io/gc.root": "now" } });
  const [mount] = prepared.mounts;
  expect(prepared.mounts).toHaveLength(1);
  expect(mount).toMatchObject({ type, target: "", options: ["rw", ...options] });
  expect(statSync(mount?.source ?? "").isBlockDevice()).toBe(true);
  expect((await client.call("mounts", { key: "ns/1/a key" })).mounts).toEqual(prepared.mounts);

  const { info } = await client.call("stat", { key: "ns/1/a key" });
  expect(info).toMatchObject({ name: "ns/1/a key", parent: "", kind: Kind.ACTIVE });
  expect(info?.labels).toEqual({
    "containerd.io/gc.root": "now",
    "containerd.io/snapshot/devmapper/fstype": type,
  });
  if (info?.createdAt === undefined) throw new Error("no time of creation");
  expect(timestampMs(info.createdAt)).toBeWithin(before, Date.now() + 1);
  expect(info.updatedAt).toEqual(info.createdAt);

  const active = await client.call("usage", { key: "ns/1/a key" });
  expect(active.size).toBeGreaterThan(0n);
  await client.call("commit", { key: "ns/1/a key", name: "ns/2/layer", labels: { kept: "yes" } });
  const committed = await client.call("stat", { key: "ns/2/layer" });
  expect(committed.info).toMatchObject({ kind: Kind.COMMITTED, labels: { kept: "yes" } });
  expect((await client.call("usage", { key: "ns/2/layer" })).size).toBeGreaterThan(0n);

  const viewed = await client.call("view", { key: "ns/3/look", parent: "ns/2/layer" });
  expect(viewed.mounts[0]).toMatchObject({ type, options: ["ro", ...options] });
  expect((await client.call("usage", { key: "ns/3/look" })).size).toBeGreaterThanOrEqual(0n);

  expect((await client.list()).map(({ name }) => name)).toEqual(["ns/2/layer", "ns/3/look"]);
  expect((await client.list("kind==view")).map(({ name, parent }) => ({ name, parent }))).toEqual([
    { name: "ns/3/look", parent: "ns/2/layer" },
  ]);

  const updated = await client.call("update", {
    info: { name: "ns/3/look", labels: { "a.b/c": "1" } },
    updateMask: { paths: ["labels.a.b/c"] },
  });
  expect(updated.info?.labels["a.b/c"]).toBe("1");

  await client.call("cleanup", {});
  expect(await failureOf(client.call("remove", { key: "ns/2/layer" }))).toMatchObject({ code: "FAILED_PRECONDITION" });
  await client.call("remove", { key: "ns/3/look" });
  await client.call("remove", { key: "ns/2/layer" });
  expect(await client.list()).toEqual([]);
}
