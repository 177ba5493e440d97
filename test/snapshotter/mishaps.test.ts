// Tests effects that go wrong: commands that time out, deletions that fail, unknown devices.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eq } from "drizzle-orm";
import type { DeviceRef } from "../../src/domain/devices.ts";
import { deadlineExceeded, internal, unavailable } from "../../src/domain/errors.ts";
import { deviceId, deviceName, freshOperationId, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import type { Driver } from "../../src/drivers/port.ts";
import { countDevicesByState, lastDeviceNumber, listTemplates } from "../../src/metadata/devices.ts";
import { listImages } from "../../src/metadata/images.ts";
import { dropFromOutbox, pendingOutbox } from "../../src/metadata/outbox.ts";
import { pendingRemovals } from "../../src/metadata/pending-removals.ts";
import { devices } from "../../src/metadata/schema.ts";
import { createSnapshotter } from "../../src/snapshotter/snapshotter.ts";
import { inconsistencies } from "../conformance/consistency.ts";
import { Client, codeOf, mounted, openFixture, type SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { testPool } from "./reflink-test-pool.ts";

setDefaultTimeout(60_000);

type Verb = "snapshot" | "activate" | "flush" | "deactivate" | "delete";
interface Mishap {
  readonly verb: Verb;
  readonly error: Error;
  /** Whether the driver does the call before it throws. */
  readonly done: boolean;
  times: number;
  /** The next mishap. */
  readonly next?: Mishap;
}

let directory: string;
let fixture: SnapshotterFixture;
let client: Client;
let mishap: Mishap | undefined;
const abandoned = new Set<string>();

/** The real driver, whose next calls fail as `mishap` says. */
const clumsy = (driver: Driver): Driver =>
  new Proxy(driver, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return async (...parameters: unknown[]) => {
        const call = async () => (await value.apply(target, parameters)) as unknown;
        const current = mishap;
        if (current?.verb !== property || current.times === 0) return await call();
        current.times -= 1;
        if (current.times === 0 && current.next !== undefined) mishap = current.next;
        if (current.done) await call();
        throw current.error;
      };
    },
  });

const late = deadlineExceeded("the command ran out of time");

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-mishaps-"));
  // devicePath is synchronous: it goes to the driver itself.
  const around = (driver: Driver) => {
    const proxy = clumsy(driver);
    return new Proxy(proxy, {
      get: (target, property) =>
        property === "devicePath" ? driver.devicePath.bind(driver) : (Reflect.get(target, property) as unknown),
    });
  };
  fixture = await openFixture(testPool, {
    directory,
    around,
    snapshotter: { isChainAbandoned: (chain) => abandoned.has(chain) },
  });
  client = new Client(fixture);
  await client.layer("base", undefined);
});
afterEach(async () => {
  mishap = undefined;
  expect(await inconsistencies(fixture)).toEqual([]);
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

describe("an operation whose command goes wrong", () => {
  test.each<[Verb, boolean]>([
    ["snapshot", false],
    ["snapshot", true],
    ["activate", true],
  ])("prepare: %s runs out of time (done: %p): taken back, and the same operation works", async (verb, done) => {
    mishap = { verb, error: late, done, times: 1 };
    const operationId = freshOperationId();
    const request = client.request("key", "base");
    expect(await codeOf(fixture.snapshotter.prepare(operationId, request))).toBe("aborted");
    expect(client.walk()).toEqual(["base"]);
    expect(await inconsistencies(fixture)).toEqual([]);
    await fixture.snapshotter.prepare(operationId, request);
    await client.remove("key");
  });

  test("prepare: what cannot be taken back at once is removed by cleanup", async () => {
    const next: Mishap = { verb: "delete", error: unavailable("nor that"), done: false, times: 1 };
    mishap = { verb: "activate", error: unavailable("not now"), done: true, times: 1, next };
    expect(await codeOf(client.prepare("key", "base"))).toBe("unavailable");
    expect(countDevicesByState(fixture.database)["removing"]).toBe(1);
    expect(await fixture.snapshotter.cleanup(freshOperationId(), {})).toEqual({
      removedDevices: 1,
      removedSnapshots: 0,
    });
  });

  test("commit: a flush that fails leaves the snapshot active", async () => {
    await client.prepare("key", "base");
    mishap = { verb: "flush", error: late, done: false, times: 1 };
    expect(await codeOf(client.commit("name", "key"))).toBe("aborted");
    expect(client.stat("key").kind).toBe("active");
    await client.commit("name", "key");
    await client.remove("name");
  });

  test.each([true, false])(
    "remove: a deletion that runs out of time (done: %p) is finished before anything else",
    async (done) => {
      await client.prepare("key", "base");
      mishap = { verb: "delete", error: late, done, times: 1 };
      const operationId = freshOperationId();
      const request = { scope: client.scope, key: snapshotKey("key") };
      const removal = fixture.snapshotter.remove(operationId, request);
      const next = client.prepare("key", "base");
      expect(await codeOf(removal)).toBe("aborted");
      await next;
      // The same operation again: it was done, and does not touch the snapshot that has its key now.
      expect(await fixture.snapshotter.remove(operationId, request)).toEqual({});
      expect(client.stat("key").kind).toBe("active");
      await client.remove("key");
    },
  );

  test("remove: a deletion that fails for good is an answer, and cleanup goes on trying", async () => {
    await client.prepare("key", "base");
    mishap = { verb: "delete", error: internal("input/output error"), done: false, times: 2 };
    expect(await codeOf(client.remove("key"))).toBe("failed_precondition");
    expect(pendingRemovals(fixture.database)).toHaveLength(1);
    expect(await codeOf(client.prepare("child", "key"))).toBe("invalid_argument");
    expect(await fixture.snapshotter.cleanup(freshOperationId(), {})).toEqual({
      removedDevices: 0,
      removedSnapshots: 0,
    });
    expect(await fixture.snapshotter.cleanup(freshOperationId(), {})).toEqual({
      removedDevices: 1,
      removedSnapshots: 1,
    });
    expect(client.walk()).toEqual(["base"]);
  });

  test("remove: a device that cannot be deactivated leaves the snapshot as it was", async () => {
    await client.prepare("key", "base");
    mishap = { verb: "deactivate", error: unavailable("not now"), done: false, times: 1 };
    expect(await codeOf(client.remove("key"))).toBe("unavailable");
    expect(await inconsistencies(fixture)).toEqual([]);
    await client.remove("key");
  });
});

describe("a device in the pool that no record knows", () => {
  const device = (serial: number): DeviceRef => ({
    deviceId: deviceId(9999),
    deviceName: deviceName(testPool.pool, serial),
    sizeBytes: 2 ** 26,
  });

  test("is deleted when its number was handed out and given back", async () => {
    await client.prepare("key", "base");
    const serial = lastDeviceNumber(fixture.database);
    await client.remove("key");
    await fixture.driver.create(device(serial));
    await fixture.driver.activate(device(serial));
    const { lines } = await fixture.snapshotter.recover();
    expect(lines).toEqual([`device ${device(serial).deviceName} was left over from a removal: deleted`]);
  });

  test("is left alone, also at the next start, when its number was never reached; its name is not used", async () => {
    const [near, far] = [lastDeviceNumber(fixture.database) + 1, lastDeviceNumber(fixture.database) + 5];
    await fixture.driver.create(device(near));
    await fixture.driver.create(device(far));
    for (const _start of [1, 2]) {
      const { lines } = await fixture.snapshotter.recover();
      expect(lines).toHaveLength(2);
      expect(lines.every((line) => line.includes("left alone"))).toBe(true);
    }
    await client.prepare("key", "base");
    expect(lastDeviceNumber(fixture.database)).toBe(far + 1);
    await client.remove("key");
    for (const serial of [near, far]) await fixture.driver.delete(device(serial));
  });
});

describe("unpacks", () => {
  const sha = (digit: string) => `sha256:${digit.repeat(64)}`;

  test("that are accepted are in order for doctor, which keeps them, also when they name no platform", async () => {
    const { snapshotter, database } = fixture;
    const request = { operationId: freshOperationId(), reference: "oci:/x" };
    await snapshotter["accept-unpack"](freshOperationId(), { requests: [request] });
    const { findings } = await snapshotter.doctor(freshOperationId(), { repair: true });
    expect(findings).toEqual([]);
    expect(pendingOutbox(database)).toMatchObject([{ operationId: request.operationId }]);
    dropFromOutbox(database, request.operationId);
  });

  test("are written down, and settled with an image that goes with its snapshot", async () => {
    const { snapshotter, database } = fixture;
    const request = { operationId: freshOperationId(), reference: "oci:/x", platform: "linux/amd64" };
    await snapshotter["accept-unpack"](freshOperationId(), { requests: [request] });
    expect(pendingOutbox(database)).toMatchObject([{ job: "unpack", payload: { pool: "test", ...request } }]);
    const image = {
      image: request.reference,
      platform: request.platform,
      manifestDigest: sha("1"),
      chainId: sha("2"),
      snapshot: sha("2"),
      layers: [],
    };
    const settlement = { unpackOperationId: request.operationId, outcome: { kind: "unpacked", image } };
    const settle = () => snapshotter["settle-unpack"](freshOperationId(), settlement as never);
    expect(await codeOf(settle())).toBe("not_found");
    expect([pendingOutbox(database).length, listImages(database)]).toEqual([1, []]);
    const own = new Client(fixture, ownScope);
    await own.layer(sha("2"), undefined);
    await settle();
    expect(pendingOutbox(database)).toEqual([]);
    expect(listImages(database)).toMatchObject([{ names: [{ reference: request.reference }], chainId: sha("2") }]);
    await own.remove(sha("2"));
    expect(listImages(database)).toEqual([]);
  });

  test("whose process is dead are swept by cleanup, others are not", async () => {
    const own = new Client(fixture, ownScope);
    await own.prepare("unpack/dead", undefined, { [labelNames.unpackChain]: sha("d") });
    await own.prepare("unpack/alive", undefined, { [labelNames.unpackChain]: sha("a") });
    await own.prepare("by hand");
    abandoned.add(sha("d"));
    expect(await fixture.snapshotter.cleanup(freshOperationId(), {})).toEqual({
      removedDevices: 1,
      removedSnapshots: 1,
    });
    expect(own.walk()).toEqual(["by hand", "unpack/alive"]);
    await own.remove("by hand");
    await own.remove("unpack/alive");
  });
});

test("a sweep that finds nothing to do writes nothing, and one that does is remembered like any operation", async () => {
  const written = () => fixture.database.drizzle.get<[number]>("SELECT total_changes()")[0];
  const before = written();
  for (let count = 0; count < 3; count += 1) {
    expect(await fixture.snapshotter.sweep(freshOperationId())).toEqual({ removedDevices: 0, removedSnapshots: 0 });
  }
  expect(written()).toBe(before);
  const own = new Client(fixture, ownScope);
  const dead = `sha256:${"e".repeat(64)}`;
  await own.prepare("unpack/dead", undefined, { [labelNames.unpackChain]: dead });
  // No chain's name, but one that a file could have.
  await own.prepare("by hand", undefined, { [labelNames.unpackChain]: "../../escaped" });
  abandoned.add(dead).add("../../escaped");
  expect(await fixture.snapshotter.sweep(freshOperationId())).toEqual({ removedDevices: 1, removedSnapshots: 1 });
  expect(own.walk()).toEqual(["by hand"]);
  await own.remove("by hand");
});

test("of templates, the eight that were used last are kept, and what was made of the others stays", async () => {
  const sizes = Array.from({ length: 10 }, (_, index) => `${20 + index}MiB`);
  const prepareOf = (size: string) => client.prepare(`of ${size}`, undefined, { [labelNames.maxSize]: size });
  for (const size of sizes.slice(0, 7)) await prepareOf(size);
  const before = listTemplates(fixture.database).map(({ deviceName }) => deviceName);
  expect(before).toHaveLength(8);
  // The one that is oldest is used again: another must go.
  await client.remove(`of ${sizes[0] ?? ""}`);
  await prepareOf(sizes[0] ?? "");
  for (const size of sizes.slice(7)) await prepareOf(size);
  const after = listTemplates(fixture.database);
  expect(after).toHaveLength(8);
  expect(after.map(({ sizeBytes }) => sizeBytes / 2 ** 20)).toContain(20);
  const gone = before.filter((name) => after.every(({ deviceName }) => deviceName !== name));
  expect(gone).toHaveLength(3);
  expect(pendingRemovals(fixture.database).map(({ device }) => device)).toEqual(expect.arrayContaining(gone));
  expect(await inconsistencies(fixture)).toEqual([]);
  await fixture.snapshotter.cleanup(freshOperationId(), {});
  expect(pendingRemovals(fixture.database)).toEqual([]);
  for (const size of sizes) expect(await mounted(client.mounts(`of ${size}`), () => "mounted")).toBe("mounted");

  const aMonthAgoMs = Date.now() - 31 * 24 * 3600 * 1000;
  const [stale] = after;
  fixture.database.drizzle
    .update(devices)
    .set({ lastUsedAtMs: aMonthAgoMs })
    .where(eq(devices.number, stale?.number ?? 0))
    .run();
  await fixture.snapshotter.sweep(freshOperationId());
  expect(listTemplates(fixture.database)).toHaveLength(7);
  await fixture.snapshotter.cleanup(freshOperationId(), {});
  for (const size of sizes) await client.remove(`of ${size}`);
});

test("a snapshotter whose pool was taken over can change nothing more", async () => {
  const { database, driver } = fixture;
  const shape = { pool: testPool.pool, fsType: "ext4", deviceSizeBytes: 2 ** 26 } as const;
  const successor = createSnapshotter({ database, driver, ...shape });
  await successor.recover();
  expect(await codeOf(client.prepare("key"))).toBe("aborted");
  expect(client.walk()).toEqual(["base"]);
  await successor.prepare(freshOperationId(), client.request("key"));
  expect(client.walk()).toEqual(["base", "key"]);
});
