// Room: drivers. Owns a loaded thin-pool: loading it, and the operations on the pool as a whole.
import { setTimeout as delay } from "node:timers/promises";
import { failedPrecondition } from "../../../domain/errors.ts";
import { describeUse } from "../../../domain/holders.ts";
import { holdersOf } from "../../../system/block/holders.ts";
import type { GrowRequest, Ownership } from "../../port.ts";
import { type DmControl, DmError, type DmInfo, isDmError, type PoolStatus } from "../control/control.ts";
import { devicePath } from "../control/names.ts";
import { type PoolDefinition, poolDeviceName } from "./definition.ts";
import { poolTable } from "./geometry.ts";
import { growPool } from "./grow.ts";
import { readPoolStatus, repairCommands, requireUsable } from "./health.ts";
import { claimPool } from "./ownership.ts";
import { attachStorage, isStorageDevice, waitForLoops } from "./storage.ts";
import { readMetadataContent } from "./superblock.ts";

export interface ThinPoolRequest {
  readonly control: DmControl;
  readonly definition: PoolDefinition;
  readonly poolDir: string;
  readonly onNotice?: ((sentence: string) => void) | undefined;
  /** Also loads a read-only pool, which growing may repair. */
  readonly toGrow?: boolean | undefined;
  /** Its device, if it exists, was just made by the caller. */
  readonly isNew?: boolean | undefined;
}

/** A thin-pool whose device is there and can be used. */
export interface ThinPool {
  readonly definition: PoolDefinition;
  /** Its name in device-mapper. */
  readonly deviceName: string;
  /** `/dev/mapper/<deviceName>` */
  readonly path: string;
  /** Whether it was loaded already, by a process that has died or by one that uses it. */
  readonly wasLoaded: boolean;
  /** Without a commit of metadata. */
  status(): Promise<PoolStatus>;
  /** See grow.ts. `definition` is the new one afterwards. */
  grow(request: GrowRequest): Promise<void>;
  /** See `Driver.claim`. */
  claim(known: Ownership | undefined, takeOver: () => Ownership): Promise<void>;
  /** Removes the pool's device and its loop devices; returns why it could not, if so. */
  close(): Promise<string | undefined>;
}

/**
 * Loads the pool: makes its device after a reboot, or takes an existing one if it is the right one.
 * Errors: `failed_precondition`, with the way out, when the pool is read-only, failed, needs_check, or when the device of
 * its name is foreign; `not_found` when its files or devices are missing.
 */
export async function loadThinPool(request: ThinPoolRequest): Promise<ThinPool> {
  const { control, definition } = request;
  const deviceName = poolDeviceName(definition.pool);
  const found = await control.info(deviceName);
  const isLoaded = found !== undefined && (await takeLoaded(request, found));
  if (!isLoaded) await loadDevice(request);
  try {
    const status = await readPoolStatus(control, deviceName);
    if (request.toGrow !== true) requireUsable(definition, status);
  } catch (error) {
    if (!isLoaded) await removePoolDevice(control, definition);
    throw error;
  }
  return thinPool(request, isLoaded && request.isNew !== true);
}

function thinPool({ control, poolDir, definition: loaded }: ThinPoolRequest, wasLoaded: boolean): ThinPool {
  const deviceName = poolDeviceName(loaded.pool);
  let definition = loaded;
  return {
    get definition() {
      return definition;
    },
    deviceName,
    path: devicePath(deviceName),
    wasLoaded,
    status: () => readPoolStatus(control, deviceName),
    grow: async (request) => {
      definition = await growPool({ control, poolDir, definition }, request);
    },
    claim: (known, takeOver) => claimPool(control, definition, { known, takeOver }),
    close: () => closePool(control, definition),
  };
}

/** False for a device without a table, whose creation was interrupted. */
async function takeLoaded({ control, definition }: ThinPoolRequest, found: DmInfo): Promise<boolean> {
  if (!found.hasLiveTable) {
    await control.remove(found.name);
    return false;
  }
  await requireOurs(control, definition);
  // Its growth was interrupted: the new table, if it was loaded, becomes the live one.
  if (found.isSuspended) await control.resume(found.name);
  return true;
}

/** Throws `failed_precondition` when the loaded device of the pool's name is made of other devices than the pool. */
export async function requireOurs(control: DmControl, definition: PoolDefinition): Promise<void> {
  const { pool, storage, blockSectors } = definition;
  const name = poolDeviceName(pool);
  const wayOut = `give this pool another name, or remove that device if it is not needed ('dmsetup remove ${name}')`;
  const table = await control.table(name);
  if (table?.target !== "thin-pool") throw failedPrecondition(`the device ${name} is no thin-pool; ${wayOut}`);
  const isOurs =
    table.blockSectors === blockSectors &&
    (await isStorageDevice(storage, "data", table.dataDevice)) &&
    (await isStorageDevice(storage, "metadata", table.metadataDevice));
  if (isOurs) return;
  const parts = `data on ${table.dataDevice}, metadata on ${table.metadataDevice}`;
  throw failedPrecondition(`the thin-pool ${name} is loaded, but it is not this one (${parts}); ${wayOut}`);
}

async function loadDevice({ control, definition }: ThinPoolRequest): Promise<void> {
  await using storage = await attachStorage(definition.storage);
  await requireKnownMetadata(definition, storage.metadata.path);
  await createPoolDevice(control, definition, storage);
}

/** The kernel formats empty metadata as a new pool; that must not happen to a pool that had snapshots. */
async function requireKnownMetadata(definition: PoolDefinition, path: string): Promise<void> {
  const content = await readMetadataContent(path);
  switch (content.kind) {
    case "empty":
      throw failedPrecondition(
        `pool ${definition.pool}: ${path} is empty, where the pool's metadata was; put it back, or make the pool anew`,
      );
    case "foreign":
      throw failedPrecondition(
        `pool ${definition.pool}: ${path} does not begin like a pool's metadata; ${repairCommands(definition)}`,
      );
    case "thin-pool":
      if (content.superblock.dataBlockSectors === definition.blockSectors) return;
      throw failedPrecondition(
        `pool ${definition.pool}: ${path} is of a pool with blocks of ${content.superblock.dataBlockSectors} sectors, not ${definition.blockSectors}: it belongs to another pool`,
      );
  }
}

interface StorageDevices {
  readonly data: { readonly path: string; readonly sizeBytes: number };
  readonly metadata: { readonly path: string };
}

/** Makes the pool's device from devices that are not in use. */
export async function createPoolDevice(control: DmControl, definition: PoolDefinition, storage: StorageDevices) {
  const { data, metadata } = storage;
  const devices = { dataDevice: data.path, metadataDevice: metadata.path, dataBytes: data.sizeBytes };
  try {
    await control.create(poolDeviceName(definition.pool), poolTable(definition, devices));
  } catch (error) {
    if (!(error instanceof DmError)) throw error;
    const parts = `data on ${data.path}, metadata on ${metadata.path}`;
    throw failedPrecondition(
      `pool ${definition.pool} could not be loaded (${parts}): ${error.message}; dmesg says more. If it is the metadata: ${repairCommands(definition)}`,
      error,
    );
  }
}

/** Pauses between retries while udev has the device open. */
const removeAttempts = 20;
const removePauseMs = 100;

/** Removes the pool's device, with retries while udev has it open. EBUSY when it stays in use. */
export async function removePoolDevice(control: DmControl, { pool, storage }: PoolDefinition): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await control.remove(poolDeviceName(pool));
      break;
    } catch (error) {
      if (isDmError(error, "ENXIO")) break;
      if (!isDmError(error, "EBUSY") || attempt === removeAttempts) throw error;
      await delay(removePauseMs);
    }
  }
  await waitForLoops(storage);
}

async function closePool(control: DmControl, definition: PoolDefinition): Promise<string | undefined> {
  const name = poolDeviceName(definition.pool);
  const users = (await control.list(`${definition.pool}-snap-`)).map((device) => device.name);
  if (users.length > 0) return `the pool ${name} stays loaded: ${users.join(", ")} still active on it`;
  try {
    await removePoolDevice(control, definition);
    return undefined;
  } catch (error) {
    if (isDmError(error, "EBUSY"))
      return `the pool ${name} stays loaded, ${describeUse(await holdersOf(devicePath(name)))}`;
    throw error;
  }
}
