import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Info } from "../../../src/api/grpc/generated/snapshots_pb.js";
import { redisUrl } from "../../../src/config.ts";
import { asSnapmillError } from "../../../src/domain/errors.ts";
import { freshOperationId, ownScope } from "../../../src/domain/identifiers.ts";
import { JobClient } from "../../../src/jobs/requests/client.ts";
import { ServerService } from "../../../src/service/server-service.ts";
import { prepare, remove } from "../../../src/service/snapshots.ts";
import { Place, type Up } from "../../supervisor/running-up.ts";
import { type Failure, failureOf, SnapshotsClient } from "./client.ts";
import { expectEveryCall } from "./every-call.ts";

const timeoutMs = 120_000;
const place = new Place();
let up: Up;
let client: SnapshotsClient;

beforeAll(async () => {
  up = place.up();
  await up.ready();
  client = new SnapshotsClient(`${place.config.stateDir}/containerd.sock`);
}, timeoutMs);

afterAll(async () => {
  client[Symbol.dispose]();
  expect(await up.end("SIGTERM")).toBe(0);
  expect(place.residue()).toEqual([]);
  place[Symbol.dispose]();
}, timeoutMs);

test("a snapshot goes its whole way: prepare, stat, mounts, usage, commit, view, list, update, remove", async () => {
  await expectEveryCall(client, { type: "ext4", options: [] });
}, 60_000);

test("a snapshot of the command line is in another scope: the client sees none of it", async () => {
  await using jobs = await JobClient.connect({ redisUrl: redisUrl(place.config), pool: place.config.pool });
  await jobs.call("prepare", { scope: ownScope, key: "mine", labels: {} });
  expect(await client.list()).toEqual([]);
  expect((await failureOf(client.call("remove", { key: "mine" }))).code).toBe("NOT_FOUND");
  await jobs.call("remove", { scope: ownScope, key: "mine" });
}, 60_000);

test("the service of a server keeps a caller's operation ID and deadline", async () => {
  await using service = new ServerService(place.config);
  const operationId = freshOperationId();
  const given = { scope: ownScope, key: "asked twice", labels: {} };
  const first = await prepare(service, given, { operationId });
  expect(await prepare(service, given, { operationId })).toEqual(first);
  const late = prepare(service, { ...given, key: "too late" }, { deadlineMs: 0 });
  expect(await late.catch((error: unknown) => asSnapmillError(error).code)).toBe("deadline_exceeded");
  await remove(service, { scope: ownScope, key: "asked twice" });
  await remove(service, { scope: ownScope, key: "too late" }).catch(() => undefined);
}, 60_000);

test("keys, names and labels are any text", async () => {
  const key = 'k8s.io/17/extract 😀 "quoted" \\ ünï/çødé\n%41';
  await client.call("prepare", { key, labels: { "ключ/ü": 'значение 😀, == "' } });
  const { info } = await client.call("stat", { key });
  expect(info?.name).toBe(key);
  expect(info?.labels["ключ/ü"]).toBe('значение 😀, == "');
  const taken = await failureOf(client.call("prepare", { key }));
  expect(taken).toEqual({
    code: "ALREADY_EXISTS",
    details: `snapshot ${JSON.stringify(key)} exists already in scope containerd`,
  });
  await client.call("remove", { key });
}, 60_000);

test("labels may be called like what every object has", async () => {
  const fsType: [string, string] = ["containerd.io/snapshot/devmapper/fstype", "ext4"];
  const given = ["__proto__", "constructor", "toString"].map((name): [string, string] => [name, `${name}'s`]);
  const entriesOf = (info: Info | undefined) => new Map(Object.entries(info?.labels ?? {}));
  await client.call("prepare", { key: "odd", labels: Object.fromEntries(given) });
  expect(entriesOf((await client.call("stat", { key: "odd" })).info)).toEqual(new Map([...given, fsType]));
  for (const filter of ['labels."__proto__"=="__proto__\'s"', "labels.constructor", "labels.toString~=String"]) {
    expect((await client.list(filter)).map(({ name }) => name)).toEqual(["odd"]);
  }
  const labels = Object.fromEntries([["__proto__", "changed"]]);
  const updateMask = { paths: ["labels.__proto__", "labels.toString"] };
  const { info } = await client.call("update", { info: { name: "odd", labels }, updateMask });
  const left: [string, string][] = [["__proto__", "changed"], ["constructor", "constructor's"], fsType];
  expect(entriesOf(info)).toEqual(new Map(left));
  await client.call("commit", { key: "odd", name: "oddly", labels });
  expect(entriesOf((await client.list("labels.__proto__"))[0])).toEqual(new Map([["__proto__", "changed"], fsType]));
  await client.call("remove", { key: "oddly" });
}, 60_000);

test("of many concurrent prepares of one key, one succeeds", async () => {
  const calls = Array.from({ length: 32 }, () => client.call("prepare", { key: "contended" }));
  const outcomes = await Promise.allSettled(calls);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected")
      expect(outcome.reason).toMatchObject({ details: expect.stringContaining("exists already") });
  }
  await client.call("remove", { key: "contended" });
}, 60_000);

describe("a call that cannot be done", () => {
  beforeAll(async () => {
    await client.call("prepare", { key: "base" });
    await client.call("commit", { key: "base", name: "layer" });
    await client.call("prepare", { key: "active", parent: "layer", labels: { kept: "1", dropped: "2" } });
    await client.call("view", { key: "view", parent: "layer" });
  }, timeoutMs);
  afterAll(async () => {
    for (const key of ["active", "view", "layer"]) await client.call("remove", { key });
    expect(await client.list()).toEqual([]);
  }, timeoutMs);

  const long = "x".repeat(1025);
  const manyPaths = Array.from({ length: 60_000 }, (_, index) => `labels.label-${index}`);
  const manyLabels = Object.fromEntries(manyPaths.map((path) => [path.slice("labels.".length), "x"]));
  const cases: readonly (readonly [title: string, call: () => Promise<unknown>, code: string, says: string])[] = [
    ["stat of nothing", () => client.call("stat", { key: "none" }), "NOT_FOUND", '"none" does not exist'],
    ["mounts of nothing", () => client.call("mounts", { key: "none" }), "NOT_FOUND", '"none" does not exist'],
    ["usage of nothing", () => client.call("usage", { key: "none" }), "NOT_FOUND", '"none" does not exist'],
    ["remove of nothing", () => client.call("remove", { key: "none" }), "NOT_FOUND", '"none" does not exist'],
    [
      "update of nothing",
      () => client.call("update", { info: { name: "none" } }),
      "NOT_FOUND",
      '"none" does not exist',
    ],
    [
      "commit of nothing",
      () => client.call("commit", { key: "none", name: "new" }),
      "NOT_FOUND",
      '"none" does not exist',
    ],
    [
      "prepare on nothing",
      () => client.call("prepare", { key: "new", parent: "none" }),
      "NOT_FOUND",
      '"none" does not',
    ],
    ["a taken key", () => client.call("prepare", { key: "active" }), "ALREADY_EXISTS", '"active" exists already'],
    [
      "a view of a taken key",
      () => client.call("view", { key: "active", parent: "layer" }),
      "ALREADY_EXISTS",
      "exists",
    ],
    ["a taken name", () => client.call("commit", { key: "active", name: "layer" }), "ALREADY_EXISTS", '"layer" exists'],
    ["a prepare of a committed name", () => client.call("prepare", { key: "layer" }), "ALREADY_EXISTS", "exists"],
    ["commit of a view", () => client.call("commit", { key: "view", name: "new" }), "FAILED_PRECONDITION", "is view"],
    [
      "remove of a parent",
      () => client.call("remove", { key: "layer" }),
      "FAILED_PRECONDITION",
      "while it has children",
    ],
    ["mounts of a committed one", () => client.call("mounts", { key: "layer" }), "FAILED_PRECONDITION", "is committed"],
    [
      "a parent that is active",
      () => client.call("prepare", { key: "new", parent: "active" }),
      "INVALID_ARGUMENT",
      "not committed",
    ],
    ["an empty key", () => client.call("prepare", { key: "" }), "INVALID_ARGUMENT", "must not be empty"],
    ["stat of an empty key", () => client.call("stat", { key: "" }), "INVALID_ARGUMENT", "must not be empty"],
    ["a long key", () => client.call("prepare", { key: long }), "INVALID_ARGUMENT", "at most 1024 bytes"],
    ["a key with a NUL", () => client.call("prepare", { key: "a\0b" }), "INVALID_ARGUMENT", "NUL"],
    [
      "an empty name",
      () => client.call("commit", { key: "active", name: "" }),
      "INVALID_ARGUMENT",
      "must not be empty",
    ],
    [
      "a long label",
      () => client.call("prepare", { key: "new", labels: { a: "x".repeat(4096) } }),
      "INVALID_ARGUMENT",
      "the limit is 4096",
    ],
    [
      "many labels",
      () => client.call("update", { info: { name: "active", labels: manyLabels }, updateMask: { paths: manyPaths } }),
      "INVALID_ARGUMENT",
      "at most 1024",
    ],
    ["many filters", () => client.list(...manyPaths.slice(0, 65)), "INVALID_ARGUMENT", "at most 64 filters"],
    [
      "a request of five megabytes",
      () => client.call("prepare", { key: "new", labels: { a: "x".repeat(5 * 2 ** 20) } }),
      "RESOURCE_EXHAUSTED",
      "larger than max",
    ],
    [
      "a size of petabytes",
      () => client.call("prepare", { key: "new", labels: { "containerd.io/snapshot/max-size": "1PiB" } }),
      "INVALID_ARGUMENT",
      "SNAPMILL_MAX_DEVICE_SIZE",
    ],
    [
      "a size that is none",
      () => client.call("prepare", { key: "new", labels: { "containerd.io/snapshot/max-size": "big" } }),
      "INVALID_ARGUMENT",
      '"big"',
    ],
    [
      "an update of what cannot change",
      () => client.call("update", { info: { name: "active" }, updateMask: { paths: ["kind"] } }),
      "INVALID_ARGUMENT",
      '"kind"',
    ],
    ["an update without info", () => client.call("update", {}), "INVALID_ARGUMENT", "needs the snapshot's info"],
    [
      "a commit onto another parent",
      () => client.call("commit", { key: "active", name: "new", parent: "other" }),
      "INVALID_ARGUMENT",
      "prepare it with that parent",
    ],
    ["a list with a bad filter", () => client.list("name=="), "INVALID_ARGUMENT", "expected a value"],
    // The order of the checks is that of containerd.
    ["a taken key on nothing", () => client.call("prepare", { key: "active", parent: "none" }), "NOT_FOUND", "none"],
    [
      "a taken key on an active one",
      () => client.call("prepare", { key: "view", parent: "active" }),
      "INVALID_ARGUMENT",
      "not committed",
    ],
    [
      "a commit of nothing onto a taken name",
      () => client.call("commit", { key: "none", name: "layer" }),
      "NOT_FOUND",
      "none",
    ],
    [
      "a commit of a view onto a taken name",
      () => client.call("commit", { key: "view", name: "layer" }),
      "ALREADY_EXISTS",
      "layer",
    ],
  ];
  test.each(cases)("%s", async (_title, call, code, says) => {
    const failure: Failure = await failureOf(call());
    expect(failure.code).toBe(code);
    expect(failure.details).toContain(says);
  });

  test("changes nothing: its key is free, and what was there is as it was", async () => {
    expect((await client.list()).map(({ name }) => name)).toEqual(["active", "layer", "view"]);
    expect((await failureOf(client.call("stat", { key: "new" }))).code).toBe("NOT_FOUND");
  });

  test("masks: one label, a label that goes, all labels, none meaning all", async () => {
    const labelsAfter = async (labels: Record<string, string>, ...paths: string[]) => {
      const { info } = await client.call("update", { info: { name: "active", labels }, updateMask: { paths } });
      expect((await client.call("stat", { key: "active" })).info).toEqual(info as Info);
      return info?.labels;
    };
    const fsType = { "containerd.io/snapshot/devmapper/fstype": "ext4" };
    expect(await labelsAfter({ added: "3", other: "ignored" }, "labels.added")).toEqual({
      ...fsType,
      kept: "1",
      dropped: "2",
      added: "3",
    });
    expect(await labelsAfter({}, "labels.dropped")).toEqual({ ...fsType, kept: "1", added: "3" });
    expect(await labelsAfter({ only: "this" }, "labels")).toEqual({ only: "this" });
    expect(await labelsAfter({ all: "new", empty: "" })).toEqual({ all: "new" });
  });

  test("a commit onto its own parent is one onto its parent", async () => {
    await client.call("prepare", { key: "child", parent: "layer" });
    await client.call("commit", { key: "child", name: "child layer", parent: "layer" });
    expect((await client.call("stat", { key: "child layer" })).info?.parent).toBe("layer");
    await client.call("remove", { key: "child layer" });
  });
});

test("what is no request, and a call that does not exist, are answered", async () => {
  const { status: unknown } = await client.raw("/containerd.services.snapshots.v1.Snapshots/Nothing", new Uint8Array());
  expect(unknown).toBe("UNIMPLEMENTED");
  const { status: garbled } = await client.raw(
    "/containerd.services.snapshots.v1.Snapshots/Stat",
    new Uint8Array([0x12, 0xff]),
  );
  expect(garbled).toBe("INTERNAL");
  expect(await client.list()).toEqual([]);
}, 60_000);
