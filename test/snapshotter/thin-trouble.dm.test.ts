// A thin-pool that gets into trouble while it is in service: what its clients are told, and doctor; and that it comes back.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { mkdtemp, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freshOperationId } from "../../src/domain/identifiers.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/definition.ts";
import { createThinPool } from "../../src/drivers/devicemapper/pool-create.ts";
import { createDmControl } from "../../src/drivers/open.ts";
import { runCommand } from "../../src/system/commands.ts";
import { attachLoop, type LoopDevice } from "../../src/system/loop.ts";
import { write } from "../conformance/changes.ts";
import { inconsistencies } from "../conformance/consistency.ts";
import { Client, codeOf, openStage, type Stage } from "../conformance/stage.ts";
import { thinGround } from "./thin-ground.ts";

setDefaultTimeout(120_000);
const mebibyte = 2 ** 20;
const ground = thinGround("libdevmapper");
const poolDevice = poolDeviceName(ground.pool);
const control = createDmControl("libdevmapper");
/** A device over the one with the metadata, that can be made to fail. */
const frail = "frail-metadata";
const sectors = (16 * mebibyte) / 512;

let directory: string;
let stage: Stage;
let client: Client;
const loops: LoopDevice[] = [];
const tableOf = (isSound: boolean) => `0 ${sectors} ${isSound ? `linear ${loops[0]?.path ?? ""} 0` : "error"}`;
const openAgain = async () => {
  stage = await openStage(ground, { directory });
  client = new Client(stage, "trouble");
};

beforeAll(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), "snapmill-trouble-")));
  for (const [name, bytes] of [
    ["metadata", 16 * mebibyte],
    ["data", 256 * mebibyte],
  ] as const) {
    await writeFile(join(directory, name), "");
    await truncate(join(directory, name), bytes);
    loops.push(await attachLoop(join(directory, name)));
  }
  await runCommand("dmsetup", ["create", frail, "--table", tableOf(true)]);
  const storage = {
    kind: "devices",
    dataDevice: loops[1]?.path ?? "",
    metadataDevice: `/dev/mapper/${frail}`,
  } as const;
  await createThinPool({ control, poolDir: join(directory, "pool"), plan: { pool: ground.pool, storage } });
  await openAgain();
  await client.layer("base", undefined, write("file", "kept"));
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await runCommand("dmsetup", ["remove", frail]);
  for (const loop of loops) await loop[Symbol.asyncDispose]();
  await control[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const doctor = async (repair: boolean) => (await stage.snapshotter.doctor(freshOperationId(), { repair })).findings;
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
  for (const repair of [false, true]) {
    const findings = await doctor(repair);
    expect(findings).toMatchObject([{ kind: "pool-state", subject: ground.pool, repaired: false }]);
    expect(findings[0]?.sentence).toContain("read-only");
  }
  expect(client.walk()).toEqual(["active", "base"]);
  await setReadOnly(false);
  expect(await doctor(false)).toEqual([]);
  await client.remove("active");
  expect(await seen()).toBe("kept");
  expect(await inconsistencies(stage)).toEqual([]);
});

test("a pool whose metadata fails makes nothing; doctor says that it has failed; loaded again on a sound disk, it goes on", async () => {
  const swapMetadata = (isSound: boolean) =>
    swap(frail, () => runCommand("dmsetup", ["reload", frail, "--table", tableOf(isSound)]));
  await swapMetadata(false);
  expect(await codeOf(client.prepare("lost", "base"))).not.toBe("no error");
  expect(await codeOf(control.message(poolDevice, { kind: "reserve_metadata_snap" }))).not.toBe("no error");
  for (const repair of [false, true]) {
    const findings = await doctor(repair);
    expect(findings).toMatchObject([{ kind: "pool-state", subject: ground.pool, repaired: false }]);
    expect(findings[0]?.sentence).toContain("has failed");
  }
  await stage[Symbol.asyncDispose]();
  await swapMetadata(true);
  await openAgain();
  expect(client.walk()).toEqual(["base"]);
  expect(await seen()).toBe("kept");
  expect(await inconsistencies(stage)).toEqual([]);
});
