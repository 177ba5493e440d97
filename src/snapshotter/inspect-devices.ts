// Room: snapshotter. Owns the inspection of devices: each record is compared with the device, and devices without a record are found.
import type { Finding } from "../domain/findings.ts";
import { type DeviceName, deviceNumber } from "../domain/identifiers.ts";
import type { FoundDevice } from "../drivers/port.ts";
import { type DeviceRecord, isForeign, lastDeviceNumber, wasGivenBack } from "../metadata/devices.ts";
import { type RemovalRecord, removalRecords } from "../metadata/pending-removals.ts";
import { type SnapshotRecord, snapshotsOn } from "../metadata/snapshots.ts";
import type { Inspection } from "./inspect.ts";

/** About as long as all attempts at a removal take. */
const removalPatienceMs = 3600 * 1000;

export function inspectDevices(
  inspection: Inspection,
  records: readonly DeviceRecord[],
  found: readonly FoundDevice[],
): Finding[] {
  const removals = new Map(removalRecords(inspection.database).map((removal) => [removal.device, removal]));
  const named = new Map(found.map((device) => [device.deviceName, device]));
  const known = new Set<DeviceName | undefined>(records.map(({ deviceName }) => deviceName));
  return [
    ...records.flatMap((device) =>
      examineRecord(device, {
        inService: inspection.inService,
        owners: snapshotsOn(inspection.database, device.number),
        there: named.get(device.deviceName),
        removal: removals.get(device.deviceName),
      }),
    ),
    ...found.filter(({ deviceName }) => !known.has(deviceName)).map((unknown) => unknownFinding(inspection, unknown)),
  ];
}

interface Circumstances {
  readonly inService: boolean;
  readonly owners: readonly SnapshotRecord[];
  /** What the driver has found of it. */
  readonly there: FoundDevice | undefined;
  readonly removal: RemovalRecord | undefined;
}

function examineRecord(device: DeviceRecord, circumstances: Circumstances): Finding[] {
  switch (device.state) {
    case "removing":
    case "removed":
      return removalFindings(device, circumstances);
    case "creating":
    case "suspending":
      return [stuck(device, "and no operation is working on it")];
    case "faulty":
      return circumstances.there?.inPool === true ? [faulty(device)] : [contentLost(device, circumstances.owners)];
    case "activated":
    case "deactivated":
      return atRest(device, circumstances);
  }
}

function removalFindings(device: DeviceRecord, { removal }: Circumstances): Finding[] {
  if (removal === undefined) return [stuck(device, "and nothing is queued to remove it")];
  if (removal.discardedAtMs !== null) return [discarded(removal, removal.discardedAtMs)];
  if (removal.givenUpAtMs !== null) return [givenUp(removal, removal.givenUpAtMs)];
  if (Date.now() - removal.createdAtMs < removalPatienceMs) return [];
  return [
    {
      kind: "removal-pending",
      subject: device.deviceName,
      sentence: `device ${device.deviceName} has been waiting to be removed since ${new Date(removal.createdAtMs).toISOString()}`,
      wayOut: "unmount or close it, if something uses it; 'snapmill cleanup' tries at once",
      repairable: true,
    },
  ];
}

const givenUp = ({ device, lastError }: RemovalRecord, atMs: number): Finding => ({
  kind: "removal-given-up",
  subject: device,
  sentence: `the removal of device ${device} was given up on ${new Date(atMs).toISOString()}: ${lastError ?? "no reason is known"}`,
  wayOut: `unmount or close the device; then 'snapmill removals retry ${device}', 'snapmill doctor --repair' or the next start removes it`,
  repairable: true,
});

const discarded = ({ device, discardReason }: RemovalRecord, atMs: number): Finding => ({
  kind: "removal-discarded",
  subject: device,
  sentence: `the removal of device ${device} was discarded on ${new Date(atMs).toISOString()} (${discardReason ?? ""}), so the device stays in the pool`,
  wayOut: `repair leaves it alone; 'snapmill removals retry ${device}' removes it`,
  repairable: false,
});

function atRest(device: DeviceRecord, { inService, owners, there }: Circumstances): Finding[] {
  if (there?.inPool !== true) return [contentLost(device, owners)];
  if (device.role === "snapshot" && owners.length === 0) return [withoutSnapshot(device)];
  const expected = owners.some(({ kind }) => kind !== "committed") ? "activated" : "deactivated";
  if (!inService && there.active) return [leftActive(device)];
  if (inService && there.active !== (expected === "activated")) return [wrongActivation(device, owners, there.active)];
  if (device.state !== expected) return [stuck(device, `and should be ${expected}`)];
  return device.operationId === undefined ? [] : [stuck(device, `by operation ${device.operationId}`)];
}

const stuck = ({ deviceName, state }: DeviceRecord, why: string): Finding => ({
  kind: "stuck-state",
  subject: deviceName,
  sentence: `device ${deviceName} is recorded as ${state}, ${why}`,
  wayOut: "repair, or the next start, finishes or undoes what was half-done; if that fails, the log says why",
  repairable: true,
});

const faulty = ({ deviceName }: DeviceRecord): Finding => ({
  kind: "faulty-device",
  subject: deviceName,
  sentence: `device ${deviceName} is recorded as faulty, but its content is in the pool`,
  wayOut: "repair takes it into use again",
  repairable: true,
});

function contentLost({ deviceName }: DeviceRecord, owners: readonly SnapshotRecord[]): Finding {
  const about = { kind: "content-lost", subject: deviceName } as const;
  const gone = `device ${deviceName} is no longer in the pool`;
  if (owners.length === 0)
    return { ...about, sentence: `${gone}; it had no snapshot`, wayOut: "repair drops its record", repairable: true };
  return {
    ...about,
    sentence: `${gone}: ${namesOf(owners)} is lost`,
    wayOut: `restore the pool from a backup, or remove what is lost, children first: ${removals(owners)}`,
    repairable: false,
  };
}

const withoutSnapshot = ({ deviceName }: DeviceRecord): Finding => ({
  kind: "record-without-snapshot",
  subject: deviceName,
  sentence: `device ${deviceName} is in the pool and in the records, but has no snapshot`,
  wayOut: "repair removes it; if that fails, it is in use: unmount it",
  repairable: true,
});

const wrongActivation = (
  { deviceName }: DeviceRecord,
  owners: readonly SnapshotRecord[],
  active: boolean,
): Finding => ({
  kind: "wrong-activation",
  subject: deviceName,
  ...(active
    ? {
        sentence: `device ${deviceName} is active, but ${owners.length > 0 ? `${namesOf(owners)} is committed` : "is a template"}`,
        wayOut: "repair deactivates it; if that fails, something uses it: unmount or close it",
        repairable: true,
      }
    : {
        sentence: `device ${deviceName} is not active, so that ${namesOf(owners)} cannot be mounted`,
        wayOut: "repair, or the next start, activates it; if that fails, the log says why",
        repairable: true,
      }),
});

const leftActive = ({ deviceName }: DeviceRecord): Finding => ({
  kind: "left-attached",
  subject: deviceName,
  sentence: `device ${deviceName} is active, and snapmill is not running`,
  wayOut: "repair, or the end of the next 'snapmill up', deactivates it; if that fails, something uses it: unmount it",
  repairable: true,
});

const namesOf = (owners: readonly SnapshotRecord[]): string =>
  owners.map(({ key, scope }) => `${JSON.stringify(key)} (scope ${scope})`).join(", ");

const removals = (owners: readonly SnapshotRecord[]): string =>
  owners.map(({ key, scope }) => `'snapmill rm --scope ${scope} ${key}'`).join(", ");

/** Decides as reconcile does. */
function unknownFinding(
  { database, pool }: Inspection,
  { deviceName, deviceId, inPool, active }: FoundDevice,
): Finding {
  const subject = deviceName ?? `ID ${deviceId ?? "unknown"}`;
  const number = deviceName === undefined ? undefined : deviceNumber(pool, deviceName);
  const isOurs =
    deviceName === undefined
      ? deviceId !== undefined && wasGivenBack(database, deviceId)
      : number !== undefined && number <= lastDeviceNumber(database) && !isForeign(database, deviceName);
  const what = inPool ? `device ${subject} is in the pool` : `something of device ${subject} is ${leftOver(active)}`;
  return {
    kind: inPool ? "device-without-record" : "activation-without-device",
    subject,
    sentence: `${what}, and in no record${isOurs ? ": it was removed before" : ""}`,
    wayOut: isOurs
      ? "repair deletes it; if that fails, it is in use: unmount or close it"
      : "repair leaves it alone, since it may hold content that is needed: this database never had it, and may be older than the pool; delete it by hand if you know that it is not needed",
    repairable: isOurs,
  };
}

const leftOver = (active: boolean): string => (active ? "active" : "left on the host");
