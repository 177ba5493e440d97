// Room: snapshotter. Owns the look that doctor takes at a pool: what is not in order, and nothing is changed for it.
import { asSnapmillError } from "../domain/errors.ts";
import type { Finding } from "../domain/findings.ts";
import { isChainId, type OperationId, ownScope } from "../domain/identifiers.ts";
import { labelNames, type Snapshot } from "../domain/snapshots.ts";
import type { Database } from "../metadata/database.ts";
import { hasDevice, listDevices } from "../metadata/devices.ts";
import { freeIdsInUse } from "../metadata/inspection.ts";
import { interruptedOperations } from "../metadata/journal.ts";
import { type DamagedEntry, damagedOutbox, pendingOutbox } from "../metadata/outbox.ts";
import { damagedRemovals } from "../metadata/pending-removals.ts";
import { listSetAside, type Strike } from "../metadata/strikes.ts";
import { walkSnapshots } from "../metadata/walk.ts";
import type { Context } from "./context.ts";
import { inspectDevices } from "./inspect-devices.ts";

/** What is looked at. The database may be open for reading only. */
export interface Inspection extends Pick<Context, "database" | "driver" | "pool" | "isChainAbandoned"> {
  /** Whether the pool is in service, so that active snapshots are to be active: not where no worker runs. */
  readonly inService: boolean;
}

/** An unpack of any image is done sooner; one that is not waits for something. */
const unpackPatienceMs = 24 * 3600 * 1000;

/**
 * Everything that is not in order. No operation is under way meanwhile, but for `ownOperation`. Throws what the driver
 * throws when it cannot say what is there, and the pool does not say why.
 */
export async function inspect(scene: Inspection, ownOperation?: OperationId): Promise<Finding[]> {
  const ofPool = await examinePool(scene);
  return [
    ...ofPool,
    ...(await ofDevices(scene, ofPool)),
    ...freeIds(scene),
    ...interrupted(scene, ownOperation),
    ...deadUnpacks(scene).map(deadUnpackFinding),
    ...oldUnpacks(scene),
    ...damagedEntries(scene.database).map(damagedFinding),
    ...listSetAside(scene.database).map(setAsideFinding),
  ];
}

/** Nothing is said of the devices in a pool that cannot be read (a failed one), but of the pool. */
async function ofDevices(scene: Inspection, ofPool: readonly Finding[]): Promise<Finding[]> {
  const records = listDevices(scene.database);
  try {
    return inspectDevices(scene, records, await scene.driver.list(records));
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
    if (state !== "rw") findings.push({ ...about, ...poolStates[state] });
    if (isMetadataHeld) findings.push(heldFinding(pool));
    return findings;
  } catch (error) {
    return [
      { ...about, sentence: `the pool does not say how it is: ${asSnapmillError(error).message}`, wayOut: inLogs },
    ];
  }
}

const inLogs = "look into the kernel's messages (dmesg)";
const checkMetadata =
  "stop snapmill, take the pool off (dmsetup remove), check its metadata with thin_check, and repair it with thin_repair";

/** What each state means for who uses the pool. Repair mends none of them: it would risk what is in the pool. */
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
  sentence: "a metadata snapshot of the pool is held, so that nobody can take another",
  wayOut: "end the program that reads the pool (thin_dump, thin_ls); the next start of snapmill lets go of it",
});

const freeIds = ({ database }: Inspection): Finding[] =>
  freeIdsInUse(database).map((deviceId) => ({
    kind: "free-id-in-use",
    subject: `ID ${deviceId}`,
    sentence: `device ID ${deviceId} is down as free, but a device has it`,
    wayOut: "repair takes it from the free ones",
  }));

const interrupted = ({ database }: Inspection, ownOperation: OperationId | undefined): Finding[] =>
  interruptedOperations(database)
    .filter(({ operationId }) => operationId !== ownOperation && !hasDevice(database, operationId))
    .map(({ operationId, job }) => ({
      kind: "interrupted-operation",
      subject: operationId,
      sentence: `operation ${operationId} (${job}) began and was never answered`,
      wayOut: "repair, or the next start, undoes it; it can be asked for again",
    }));

/** Listed before their chain is looked at: an attempt holds its chain's lock from before its snapshot exists. */
export function deadUnpacks({
  database,
  isChainAbandoned,
}: Pick<Inspection, "database" | "isChainAbandoned">): Snapshot[] {
  const filters = [`kind==active,labels."${labelNames.unpackChain}"`];
  const attempts = [...walkSnapshots(database, { scope: ownScope, filters })];
  return attempts.filter(({ labels }) => {
    // A label of any other text was given by hand; as a file's name it could lead anywhere.
    const chain = labels[labelNames.unpackChain] ?? "";
    return isChainId(chain) && isChainAbandoned(chain);
  });
}

const deadUnpackFinding = ({ key }: Snapshot): Finding => ({
  kind: "dead-unpack",
  subject: key,
  sentence: `active snapshot ${JSON.stringify(key)} was left by an unpack whose process is gone`,
  wayOut: "repair removes it, as a running snapmill does from time to time; if that fails, it is in use: unmount it",
});

/** What stands in the outbox and can never be queued. */
export function damagedEntries(database: Database): readonly DamagedEntry[] {
  const unpacks = pendingOutbox(database, "unpack").filter(({ payload }) => !isUnpack(payload));
  return [...damagedOutbox(database), ...damagedRemovals(database), ...unpacks];
}

const isUnpack = (payload: unknown): boolean =>
  typeof payload === "object" &&
  payload !== null &&
  "reference" in payload &&
  "platform" in payload &&
  typeof payload.reference === "string" &&
  typeof payload.platform === "string";

const damagedFinding = ({ operationId, job, createdAtMs }: DamagedEntry): Finding => ({
  kind: "damaged-record",
  subject: operationId,
  sentence: `entry ${JSON.stringify(operationId)} (${job}) of the outbox, of ${new Date(createdAtMs).toISOString()}, cannot be read`,
  wayOut: "repair drops it; a device that it was about is removed all the same, an image is to be asked for again",
});

const setAsideFinding = ({ operationId, job, deaths, lastAtMs }: Strike): Finding => ({
  kind: "operation-set-aside",
  subject: operationId,
  sentence: `operation ${operationId} (${job}) was being executed when ${deaths} workers died, last on ${new Date(lastAtMs).toISOString()}, and is executed no more`,
  wayOut: "the log and the kernel's messages (dmesg) say what they died of; 'snapmill cleanup' has it tried again",
});

function oldUnpacks({ database }: Inspection): Finding[] {
  const beforeMs = Date.now() - unpackPatienceMs;
  return pendingOutbox(database, "unpack")
    .filter(({ createdAtMs }) => createdAtMs < beforeMs)
    .map(({ operationId, createdAtMs }) => ({
      kind: "unpack-pending",
      subject: operationId,
      sentence: `unpack ${operationId} was accepted on ${new Date(createdAtMs).toISOString()} and has not ended`,
      wayOut: "see why among the jobs of the dashboard; it goes on with the next 'snapmill up', or is retried there",
    }));
}
