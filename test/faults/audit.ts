// Owns the check that a pool is sound, without the driver: by thin_ls, thin_check, the kernel and checksums.
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { DeviceName } from "../../src/domain/identifiers.ts";
import { type DmControl, sectorBytes } from "../../src/drivers/devicemapper/control/control.ts";
import { devicePath } from "../../src/drivers/devicemapper/control/names.ts";
import { poolDeviceName } from "../../src/drivers/devicemapper/pool/definition.ts";
import { type DeviceRecord, listDevices } from "../../src/metadata/devices.ts";
import { pendingRemovals } from "../../src/metadata/pending-removals.ts";
import { snapshotsOn } from "../../src/metadata/snapshots.ts";
import { findLoops } from "../../src/system/block/attached-loops.ts";
import { attachLoop } from "../../src/system/block/loop.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { inconsistencies } from "../conformance/consistency.ts";
import type { SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { metadataFile, type PoolPlace, poolIn } from "./pool.ts";

/** Every inconsistency of an open pool, one sentence each. */
export async function problemsOf(place: PoolPlace, fixture: SnapshotterFixture, control: DmControl): Promise<string[]> {
  // A device whose removal is pending may exist or not, active or not.
  const pending = new Set(pendingRemovals(fixture.database).map(({ device }) => device));
  const records = listDevices(fixture.database);
  const lasting = records.filter(({ deviceName }) => !pending.has(deviceName));
  const passing = records.filter(({ deviceName }) => pending.has(deviceName)).map(({ deviceId }) => deviceId);
  const ids = (await idsInPool(place, control)).filter((id) => !passing.some((other) => other === id));
  const mapped = await control.list(`${poolIn(place)}-`);
  const active = mapped.filter(({ name }) => name.startsWith(`${poolIn(place)}-snap-`));
  return [
    ...(await inconsistencies(fixture)),
    ...differences(
      "device IDs in the pool",
      ids,
      lasting.map(({ deviceId }) => deviceId),
    ),
    ...differences(
      "active devices",
      active.map(({ name }) => name).filter((name) => !pending.has(name as DeviceName)),
      lasting.filter(({ state }) => state === "activated").map(({ deviceName }) => deviceName),
    ),
    ...mapped.flatMap(({ name, isSuspended }) => (isSuspended ? [`${name} is suspended`] : [])),
  ];
}

function differences<T extends string | number>(what: string, found: readonly T[], expected: readonly T[]): string[] {
  const text = (list: readonly T[]) => list.map(String).sort().join(" ");
  return text(found) === text(expected) ? [] : [`${what}: ${text(found)}, where the database says ${text(expected)}`];
}

/** As thin_ls reads them from a metadata snapshot. */
async function idsInPool(place: PoolPlace, control: DmControl): Promise<number[]> {
  const [loop] = await findLoops(metadataFile(place));
  if (loop === undefined) throw new Error(`${metadataFile(place)} is on no loop device`);
  const pool = poolDeviceName(poolIn(place));
  await control.message(pool, { kind: "reserve_metadata_snap" });
  try {
    const { stdout } = await runCommand("thin_ls", ["--metadata-snap", "--no-headers", "-o", "DEV", loop.path]);
    return stdout
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map(Number);
  } finally {
    await control.message(pool, { kind: "release_metadata_snap" });
  }
}

/** Of the metadata of a pool that is not loaded. Throws, with what thin_check says, when something is wrong with it. */
export async function checkMetadata(place: PoolPlace): Promise<void> {
  // thin_check reads past the page cache, which not every file system can.
  await using loop = await attachLoop(metadataFile(place), { readOnly: true });
  await runCommand("thin_check", [loop.path]);
}

/** The content of every committed snapshot, read past the driver: `<scope> <name>` → checksum of the whole device. */
export async function committedContents(
  place: PoolPlace,
  { database }: SnapshotterFixture,
  control: DmControl,
): Promise<ReadonlyMap<string, string>> {
  const contents = new Map<string, string>();
  for (const device of listDevices(database)) {
    const committed = snapshotsOn(database, device.number).filter(({ kind }) => kind === "committed");
    if (committed.length === 0) continue;
    const checksum = await checksumOf(place, control, device);
    for (const { scope, key } of committed) contents.set(`${scope} ${key}`, checksum);
  }
  return contents;
}

async function checksumOf(place: PoolPlace, control: DmControl, device: DeviceRecord): Promise<string> {
  const name = `${poolIn(place)}-audit`;
  await control.create(name, {
    target: "thin",
    sectors: device.sizeBytes / sectorBytes,
    poolDevice: devicePath(poolDeviceName(poolIn(place))),
    deviceId: device.deviceId,
  });
  try {
    await using file = await open(devicePath(name));
    const hash = createHash("sha256");
    const chunk = Buffer.alloc(2 ** 20);
    for (let position = 0; position < device.sizeBytes; position += chunk.length) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      hash.update(chunk.subarray(0, bytesRead));
    }
    return hash.digest("hex");
  } finally {
    await control.remove(name);
  }
}
