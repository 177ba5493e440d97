// Tests a thin-pool that fails while it is in service: what clients and doctor report, and that it recovers.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freshOperationId } from "../../src/domain/identifiers.ts";
import { createThinPool } from "../../src/drivers/devicemapper/pool/create.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/pool/definition.ts";
import { createDmControl } from "../../src/drivers/open.ts";
import { attachLoop } from "../../src/system/block/loop.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { write } from "../conformance/changes.ts";
import { inconsistencies } from "../conformance/consistency.ts";
import { Client, codeOf, openFixture, type SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { thinTestPool } from "./thin-test-pool.ts";

setDefaultTimeout(120_000);
const mebibyte = 2 ** 20;
const testPool = thinTestPool("libdevmapper");
const poolDevice = poolDeviceName(testPool.pool);
const control = createDmControl("libdevmapper");
/** A device over the one with the metadata, that can be made to fail. */
const frail = "frail-metadata";
const sectors = (16 * mebibyte) / 512;

let directory: string;
let host: string;
let fixture: SnapshotterFixture;
let client: Client;
/** Takes down in reverse order what was made, also when the set-up fails halfway. */
const made = new AsyncDisposableStack();
const openAgain = async () => {
  fixture = await openFixture(testPool, { directory });
  client = new Client(fixture, "trouble");
};

async function attach(path: string, bytes: number): Promise<string> {
  await writeFile(path, "");
  await truncate(path, bytes);
  return made.use(await attachLoop(path)).path;
}

/** A file system that a test can fill; it holds the pool's metadata, as the host's does for a pool in files. */
async function mountHost(image: string, at: string): Promise<void> {
  const path = await attach(image, 64 * mebibyte);
  await runCommand("mkfs.ext4", ["-q", path]);
  await mkdir(at);
  await runCommand("mount", [path, at]);
  made.defer(async () => void (await runCommand("umount", [at])));
}

let tableOf: (isSound: boolean) => string;

beforeAll(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), "snapmill-trouble-")));
  made.defer(() => rm(directory, { recursive: true, force: true }));
  host = join(directory, "host");
  await mountHost(join(directory, "host.img"), host);
  const metadata = await attach(join(host, "metadata"), 16 * mebibyte);
  const dataDevice = await attach(join(directory, "data"), 256 * mebibyte);
  tableOf = (isSound) => `0 ${sectors} ${isSound ? `linear ${metadata} 0` : "error"}`;
  await runCommand("dmsetup", ["create", frail, "--table", tableOf(true)]);
  made.defer(async () => void (await runCommand("dmsetup", ["remove", frail])));
  made.use(control);
  const storage = { kind: "devices", dataDevice, metadataDevice: `/dev/mapper/${frail}` } as const;
  await createThinPool({ control, poolDir: join(directory, "pool"), plan: { pool: testPool.pool, storage } });
  await openAgain();
  made.defer(() => fixture[Symbol.asyncDispose]());
  await client.layer("base", undefined, write("file", "kept"));
});

afterAll(() => made.disposeAsync());

const doctor = async (repair: boolean) => (await fixture.snapshotter.doctor(freshOperationId(), { repair })).findings;

/** Doctor finds only the state of the pool, and leaves it as it is. */
async function expectTold(state: string): Promise<void> {
  for (const repair of [false, true]) {
    const findings = await doctor(repair);
    expect(findings).toMatchObject([{ kind: "pool-state", subject: testPool.pool, repaired: false }]);
    expect(findings[0]?.sentence).toContain(state);
  }
}

const seen = () => client.seen("base", (root) => readFileSync(join(root, "file"), "utf8"));

/** Changes the live table of a device as an operator would. */
async function swap(name: string, load: () => Promise<unknown>): Promise<void> {
  await load();
  await control.suspend(name, { lockFs: false, flush: false });
  await control.resume(name);
}

async function setReadOnly(isReadOnly: boolean): Promise<void> {
  const table = await control.table(poolDevice);
  if (table?.target !== "thin-pool") throw new Error("the pool is not loaded");
  const features = [
    ...table.features.filter((feature) => feature !== "read_only"),
    ...(isReadOnly ? ["read_only"] : []),
  ];
  await swap(poolDevice, () => control.reload(poolDevice, { ...table, features }));
}

test("a read-only pool refuses changes and shows what it has; doctor says so and leaves it; writable, it goes on", async () => {
  await client.prepare("active", "base");
  await setReadOnly(true);
  expect(await codeOf(client.prepare("refused", "base"))).toBe("failed_precondition");
  await expectTold("read-only");
  expect(client.walk()).toEqual(["active", "base"]);
  await setReadOnly(false);
  expect(await doctor(false)).toEqual([]);
  await client.remove("active");
  expect(await seen()).toBe("kept");
  expect(await inconsistencies(fixture)).toEqual([]);
});

test("a pool whose metadata fails makes nothing; doctor says that it has failed; loaded again on a sound disk, it goes on", async () => {
  const swapMetadata = (isSound: boolean) =>
    swap(frail, () => runCommand("dmsetup", ["reload", frail, "--table", tableOf(isSound)]));
  await swapMetadata(false);
  expect(await codeOf(client.prepare("lost", "base"))).not.toBe("no error");
  expect(await codeOf(control.message(poolDevice, { kind: "reserve_metadata_snap" }))).not.toBe("no error");
  await expectTold("has failed");
  await fixture[Symbol.asyncDispose]();
  await swapMetadata(true);
  await openAgain();
  expect(client.walk()).toEqual(["base"]);
  expect(await seen()).toBe("kept");
  expect(await inconsistencies(fixture)).toEqual([]);
});

test("a pool whose metadata's host is full must be checked: it makes nothing until that is done, then it goes on", async () => {
  const filler = join(host, "filler");
  await runCommand("dd", ["if=/dev/zero", `of=${filler}`, "bs=64K", "conv=fsync"], { successCodes: [1] });
  // Each takes a block of metadata that was never written, for which the host has no space.
  let code = "no error";
  for (let tries = 0; tries < 50 && code === "no error"; tries += 1)
    code = await codeOf(client.prepare(`lost-${tries}`, "base"));
  expect(code).not.toBe("no error");
  expect(await control.status(poolDevice)).toMatchObject({ mode: "ro", needsCheck: true });
  expect(await codeOf(client.prepare("refused", "base"))).toBe("failed_precondition");
  await expectTold("until its metadata has been checked");
  await fixture[Symbol.asyncDispose]();
  await rm(filler);
  expect(await codeOf(openAgain())).toBe("failed_precondition");
  await runCommand("thin_check", ["--clear-needs-check-flag", `/dev/mapper/${frail}`]);
  await openAgain();
  for (const key of client.walk()) if (key !== "base") await client.remove(key);
  expect(await seen()).toBe("kept");
  expect(await inconsistencies(fixture)).toEqual([]);
});
