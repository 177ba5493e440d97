// Tests the commit of copies: snapshots of earlier moments of an active one, copied by whoever has it mounted.
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freshOperationId, type SnapshotKey, snapshotKey } from "../../src/domain/identifiers.ts";
import type { Labels } from "../../src/domain/snapshots.ts";
import { draftCopiesOf } from "../../src/drivers/open.ts";
import { deviceUnder } from "../../src/metadata/snapshots.ts";
import { mountDetached } from "../../src/system/mount/detached.ts";
import { bringToRest, hasNothingToReplay, wake } from "../../src/system/mount/rest.ts";
import { copyDevice } from "../../src/unpack/device-copy.ts";
import { inconsistencies } from "../conformance/consistency.ts";
import { runUntilKilled } from "../conformance/killed-operation.ts";
import { Client, codeOf, mounted, openFixture, type SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { testPool } from "./reflink-test-pool.ts";

setDefaultTimeout(60_000);

const scope = "copies";
const textIn = (root: string): string => readFileSync(join(root, "file"), "utf8");

let directory: string;
let fixture: SnapshotterFixture;
let client: Client;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-copies-"));
  await reopen();
  await client.layer("base", undefined);
});
afterEach(async () => {
  expect(await inconsistencies(fixture)).toEqual([]);
  for (const key of client.walk().filter((name) => name !== "base")) {
    if (client.stat(key).kind === "active") await client.remove(key);
  }
  for (const key of ["c3", "c2", "c1"]) if (client.walk().includes(key)) await client.remove(key);
  expect(client.walk()).toEqual(["base"]);
  expect(copyDirectories()).toEqual([]);
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function reopen(): Promise<void> {
  fixture = await openFixture(testPool, { directory });
  client = new Client(fixture, scope);
}

const files = () => join(directory, "pool", "devices");
const copyDirectories = (): string[] => readdirSync(files()).filter((name) => name.endsWith(".copies"));

function placeOf(key: string) {
  const { deviceName } = deviceUnder(fixture.database, client.stat(key));
  const place = draftCopiesOf("reflink", join(directory, "pool"), deviceName);
  if (place === undefined) throw new Error("the reflink driver has no place for copies");
  return place;
}

/** Writes each text to a file of the active snapshot, on one mount, and copies the device after each; the copies' names. */
function written(key: string, texts: readonly string[], after?: () => Promise<void>): Promise<string[]> {
  const [mount] = client.mounts(key);
  if (mount === undefined) throw new Error(`${key} has no mount`);
  const { file: from, directory: to } = placeOf(key);
  const { source, type: fsType, options } = mount;
  using detached = mountDetached({ source, fsType, options, readOnly: false });
  const names = texts.map((text) => {
    writeFileSync(`/proc/self/fd/${detached.fd}/file`, text);
    bringToRest(detached.fd, "the device");
    const name = crypto.randomUUID();
    copyDevice({ from, to: join(to, name) });
    wake(detached.fd, "the device");
    return name;
  });
  return (after?.() ?? Promise.resolve()).then(() => names);
}

interface Copy {
  readonly copy: string;
  readonly name: SnapshotKey;
  readonly labels: Labels;
}

const named = (copies: readonly string[], from = 1): Copy[] =>
  copies.map((copy, index) => ({ copy, name: snapshotKey(`c${index + from}`), labels: { of: `c${index + from}` } }));

const commit = (key: string, copies: readonly Copy[], keyLabels?: Labels, operationId = freshOperationId()) =>
  fixture.snapshotter["commit-copies"](operationId, {
    scope: client.request(key).scope,
    key: snapshotKey(key),
    copies: [...copies],
    keyLabels,
  });

test("copies become committed snapshots, one above the other, each of its moment and at rest", async () => {
  const { mounts } = await client.prepare("active", "base", { mine: "1" });
  const texts = ["one", "two", "three"];
  await commit("active", named(await written("active", texts)), { next: "2" });
  expect(["c1", "c2", "c3", "active"].map((key) => client.stat(key).parent as string | undefined)).toEqual([
    "base",
    "c1",
    "c2",
    "c3",
  ]);
  for (const [index, text] of texts.entries()) {
    const key = `c${index + 1}`;
    expect(client.stat(key)).toMatchObject({ kind: "committed", labels: { of: key } });
    expect(await client.seen(key, textIn)).toBe(text);
    const device = deviceUnder(fixture.database, client.stat(key));
    expect(device.state).toBe("deactivated");
    await fixture.driver.activate(device);
    expect(await hasNothingToReplay(fixture.driver.devicePath(device.deviceName))).toBe(true);
    await fixture.driver.deactivate(device);
  }
  expect(client.stat("active").labels).toMatchObject({ next: "2" });
  expect(client.stat("active").labels).not.toHaveProperty("mine");
  expect(client.mounts("active")).toEqual(mounts);
  expect(await mounted(mounts, textIn)).toBe("three");
  expect((await client.usage("c2")).sizeBytes).toBeLessThan(2 ** 20);
});

test("what follows is committed above what was, and the copies go with the commit", async () => {
  await client.prepare("active", "base");
  await commit("active", named(await written("active", ["one"])));
  await commit("active", named(await written("active", ["two"]), 2));
  expect(readdirSync(placeOf("active").directory)).toHaveLength(1);
  const { directory: place } = placeOf("active");
  await client.commit("c3", "active");
  expect(existsSync(place)).toBe(false);
  expect(client.stat("c3").parent as string).toBe("c2");
  expect(await client.seen("c1", textIn)).toBe("one");
  expect(await client.seen("c3", textIn)).toBe("two");
});

test("they are committed beside writes to the snapshot, and once however often the operation is asked for", async () => {
  await client.prepare("active", "base");
  const operationId = freshOperationId();
  const [copy = ""] = await written("active", ["one"]);
  const request = named([copy]);
  await mounted(client.mounts("active"), async (root) => {
    writeFileSync(join(root, "file"), "later");
    const first = await commit("active", request, undefined, operationId);
    expect(await commit("active", request, undefined, operationId)).toEqual(first);
  });
  expect(client.walk()).toEqual(["active", "base", "c1"]);
  expect(await client.seen("c1", textIn)).toBe("one");
  expect(await codeOf(commit("active", named([copy], 2), undefined, operationId))).toBe("invalid_argument");
});

test("copies that are gone, not at rest or no file systems are refused, with all that were given beside them", async () => {
  await client.prepare("active", "base");
  const [whole = ""] = await written("active", ["one"]);
  const { directory: place } = placeOf("active");
  const devices = (await fixture.driver.list()).length;
  const other = (make: (path: string) => void): string => {
    const name = crypto.randomUUID();
    make(join(place, name));
    return name;
  };
  const broken = [
    "0",
    other((path) => writeFileSync(path, "short")),
    // Of a file system that is mounted for writing.
    await mounted(client.mounts("active"), (root) => {
      writeFileSync(join(root, "dirty"), "x");
      Bun.spawnSync(["sync", "-f", root]);
      return other((path) => copyDevice({ from: placeOf("active").file, to: path }));
    }),
  ];
  for (const copy of broken) expect(await codeOf(commit("active", named([whole, copy])))).toBe("failed_precondition");
  expect(client.walk()).toEqual(["active", "base"]);
  expect((await fixture.driver.list()).length).toBe(devices);
  await commit("active", named([whole]));
  expect(await client.seen("c1", textIn)).toBe("one");
});

test("a copy that its maker takes back while others are committed is in nobody's way", async () => {
  await client.prepare("active", "base");
  const [copy = ""] = await written("active", ["one"]);
  // As one that goes between two looks: there is a name, and nothing behind it.
  symlinkSync("gone", join(placeOf("active").directory, crypto.randomUUID()));
  await commit("active", named([copy]));
  expect(await client.seen("c1", textIn)).toBe("one");
});

test("a commit of copies is refused as a commit is, and leaves nothing", async () => {
  await client.prepare("active", "base");
  const [copy = "", second = ""] = await written("active", ["one", "two"]);
  const devices = (await fixture.driver.list()).length;
  expect(await codeOf(commit("missing", named([copy])))).toBe("not_found");
  expect(await codeOf(commit("base", named([copy])))).toBe("failed_precondition");
  const taken = [...named([copy]), { copy: second, name: snapshotKey("base"), labels: {} }];
  expect(await codeOf(commit("active", taken))).toBe("already_exists");
  const twice = [copy, second].map((name) => ({ copy: name, name: snapshotKey("c1"), labels: {} }));
  expect(await codeOf(commit("active", twice))).toBe("already_exists");
  expect(await codeOf(commit("active", []))).toBe("failed_precondition");
  expect((await fixture.driver.list()).length).toBe(devices);
  expect(client.walk()).toEqual(["active", "base"]);
});

test("the copies of a snapshot that is removed go with it, and those of devices that are gone when the pool is opened", async () => {
  await client.prepare("active", "base");
  await written("active", ["one"]);
  expect(copyDirectories()).toHaveLength(1);
  await client.remove("active");
  expect(copyDirectories()).toEqual([]);
  await mkdir(join(files(), "test-snap-999.copies"));
  await fixture[Symbol.asyncDispose]();
  await reopen();
  expect(copyDirectories()).toEqual([]);
});

test.each(["commit-copies.intended", "commit-copies.adopted", "settle.committed"] as const)(
  "a worker that is killed at %s loses no copy: asked again, the operation is done, and done once",
  async (point) => {
    await client.prepare("active", "base");
    const copies = named(await written("active", ["one", "two"]));
    const request = { scope: client.request("active").scope, key: snapshotKey("active"), copies };
    const operationId = freshOperationId();
    await fixture[Symbol.asyncDispose]();
    const testPoolModule = join(import.meta.dir, "reflink-test-pool.ts");
    const killed = { directory, testPoolModule, point, verb: "commit-copies", operationId, request } as const;
    expect(await runUntilKilled(killed)).toBe("SIGKILL");
    await reopen();
    await fixture.snapshotter.recover();
    for (let time = 0; time < 2; time++) await commit("active", copies, undefined, operationId);
    expect(client.walk()).toEqual(["active", "base", "c1", "c2"]);
    expect(await client.seen("c1", textIn)).toBe("one");
    expect(await client.seen("c2", textIn)).toBe("two");
    expect(await inconsistencies(fixture)).toEqual([]);
  },
);
