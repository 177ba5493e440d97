// Room: snapshotter. Owns the inspection of a pool: what is wrong in it. Changes nothing.
import { asSnapmillError } from "../domain/errors.ts";
import type { Finding } from "../domain/findings.ts";
import { isChainId, type OperationId, ownScope } from "../domain/identifiers.ts";
import { labelNames, type Snapshot } from "../domain/snapshots.ts";
import { parsePayload } from "../jobs/contract.ts";
import type { Database } from "../metadata/database.ts";
import { freeIdsInUse, hasDevice, listDevices } from "../metadata/devices.ts";
import { interruptedOperations } from "../metadata/journal.ts";
import { type DamagedEntry, damagedOutbox, pendingOutbox } from "../metadata/outbox.ts";
import { damagedRemovals } from "../metadata/pending-removals.ts";
import { listSetAside, type Strike } from "../metadata/strikes.ts";
import { walkSnapshots } from "../metadata/walk.ts";
import type { Context } from "./context.ts";
import { inspectDevices } from "./inspect-devices.ts";

/** What is inspected. The database may be open for reading only. */
export interface Inspection extends Pick<Context, "database" | "driver" | "pool" | "isChainAbandoned"> {
  /** Whether a worker serves the pool, so that the devices of active snapshots must be active. */
  readonly inService: boolean;
}

/** Any image is unpacked sooner: an unpack that takes longer waits for something. */
const unpackPatienceMs = 24 * 3600 * 1000;

/**
 * Everything that is wrong. No operation runs at the same time, except `ownOperation`. If the driver cannot list the
 * devices, and the state of the pool does not explain it, throws what the driver throws.
 */
export async function inspect(inspection: Inspection, ownOperation?: OperationId): Promise<Finding[]> {
  const ofPool = await examinePool(inspection);
  return [
    ...ofPool,
    ...(await ofDevices(inspection, ofPool)),
    ...freeIds(inspection),
    ...interrupted(inspection, ownOperation),
    ...deadUnpacks(inspection).map(deadUnpackFinding),
    ...oldUnpacks(inspection),
    ...damagedEntries(inspection.database).map(damagedFinding),
    ...listSetAside(inspection.database).map(setAsideFinding),
  ];
}

/** If the pool cannot be read (it has failed), there is a finding on the pool, and none on its devices. */
async function ofDevices(inspection: Inspection, ofPool: readonly Finding[]): Promise<Finding[]> {
  const records = listDevices(inspection.database);
  try {
    return inspectDevices(inspection, records, await inspection.driver.list(records));
  } catch (error) {
    if (ofPool.some(({ kind }) => kind === "pool-state")) return [];
    throw error;
  }
}

async function examinePool({ driver, pool }: Inspection): Promise<Finding[]> {
  const about = { kind: "pool-state", subject: pool } as const;
  try {
    const { state = "rw", isMetadataHeld = false } = await driver.poolUsage();
    const findings: Finding[] = [];
    if (state !== "rw") findings.push({ ...about, ...poolStates[state], repairable: false });
    if (isMetadataHeld) findings.push(heldFinding(pool));
    return findings;
  } catch (error) {
    return [
      {
        ...about,
        sentence: `the state of the pool cannot be read: ${asSnapmillError(error).message}`,
        wayOut: inLogs,
        repairable: false,
      },
    ];
  }
}

const inLogs = "see the kernel's messages (dmesg)";
const checkMetadata =
  "stop snapmill, take the pool off (dmsetup remove), check its metadata with thin_check, and repair it with thin_repair";

/** What each state means for users. A repair changes none of them: it would risk the content of the pool. */
const poolStates = {
  ro: { sentence: "the pool is read-only: nothing can be made or removed", wayOut: checkMetadata },
  needs_check: { sentence: "the pool is read-only until its metadata has been checked", wayOut: checkMetadata },
  failed: { sentence: "the pool has failed: its metadata cannot be read or written", wayOut: checkMetadata },
  out_of_data_space: {
    sentence: "the pool is full: writes fail",
    wayOut: "make room with 'snapmill pool grow', or remove snapshots",
  },
} as const;

export const heldFinding = (pool: string): Finding => ({
  kind: "metadata-snapshot-held",
  subject: pool,
  sentence: "a metadata snapshot of the pool is held, so that no other can be taken",
  wayOut: "end the program that reads the pool (thin_dump, thin_ls); the next start of snapmill releases it",
  repairable: false,
});

const freeIds = ({ database }: Inspection): Finding[] =>
  freeIdsInUse(database).map((deviceId) => ({
    kind: "free-id-in-use",
    subject: `ID ${deviceId}`,
    sentence: `device ID ${deviceId} is recorded as free, but a device has it`,
    wayOut: "repair takes it off the list of free IDs",
    repairable: true,
  }));

const interrupted = ({ database }: Inspection, ownOperation: OperationId | undefined): Finding[] =>
  interruptedOperations(database)
    .filter(({ operationId }) => operationId !== ownOperation && !hasDevice(database, operationId))
    .map(({ operationId, job }) => ({
      kind: "interrupted-operation",
      subject: operationId,
      sentence: `operation ${operationId} (${job}) began and was never answered`,
      wayOut: "repair, or the next start, undoes it; it can be asked for again",
      repairable: true,
    }));

/** Lists attempts before it looks at their chains: an attempt takes its chain's lock before its snapshot exists. */
export function deadUnpacks({
  database,
  isChainAbandoned,
}: Pick<Inspection, "database" | "isChainAbandoned">): Snapshot[] {
  const filters = [`kind==active,labels."${labelNames.unpackChain}"`];
  const attempts = [...walkSnapshots(database, { scope: ownScope, filters })];
  return attempts.filter(({ labels }) => {
    // A label with any other text was set by a user; as a file name it could lead anywhere.
    const chain = labels[labelNames.unpackChain] ?? "";
    return isChainId(chain) && isChainAbandoned(chain);
  });
}

const deadUnpackFinding = ({ key }: Snapshot): Finding => ({
  kind: "dead-unpack",
  subject: key,
  sentence: `active snapshot ${JSON.stringify(key)} was left by an unpack whose process is gone`,
  wayOut: "repair removes it, as a running snapmill does from time to time; if that fails, it is in use: unmount it",
  repairable: true,
});

/** Entries of the outbox that can never be queued. */
export function damagedEntries(database: Database): readonly DamagedEntry[] {
  const unpacks = pendingOutbox(database, "unpack").filter(({ payload }) => !isUnpack(payload));
  return [...damagedOutbox(database), ...damagedRemovals(database), ...unpacks];
}

/** As it is read when it is queued. */
function isUnpack(payload: unknown): boolean {
  try {
    parsePayload("unpack", payload);
    return true;
  } catch {
    return false;
  }
}

const damagedFinding = ({ operationId, job, createdAtMs }: DamagedEntry): Finding => ({
  kind: "damaged-record",
  subject: operationId,
  sentence: `entry ${JSON.stringify(operationId)} (${job}) in the outbox, from ${new Date(createdAtMs).toISOString()}, cannot be read`,
  wayOut: "repair drops it; a device that it named is removed all the same, an image must be asked for again",
  repairable: true,
});

const setAsideFinding = ({ operationId, job, deaths, lastAtMs }: Strike): Finding => ({
  kind: "operation-set-aside",
  subject: operationId,
  sentence: `operation ${operationId} (${job}) was being executed when ${deaths} workers died, last on ${new Date(lastAtMs).toISOString()}, and is no longer executed`,
  wayOut: "the log and the kernel's messages (dmesg) say why they died; 'snapmill cleanup' allows it to be tried again",
  repairable: false,
});

function oldUnpacks({ database }: Inspection): Finding[] {
  const beforeMs = Date.now() - unpackPatienceMs;
  return pendingOutbox(database, "unpack")
    .filter(({ createdAtMs }) => createdAtMs < beforeMs)
    .map(({ operationId, createdAtMs }) => ({
      kind: "unpack-pending",
      subject: operationId,
      sentence: `unpack ${operationId} was accepted on ${new Date(createdAtMs).toISOString()} and has not ended`,
      wayOut: "see why among the jobs at /queues; it goes on with the next 'snapmill up'",
      repairable: false,
    }));
}
