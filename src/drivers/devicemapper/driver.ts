// Room: drivers. Owns the devmapper driver: a device is a thin device, a snapshot one too, an activation its table.
import type { DeviceRef } from "../../domain/devices.ts";
import {
  asSnapmillError,
  failedPrecondition,
  internal,
  invalidArgument,
  isSnapmillError,
  notFound,
  SnapmillError,
} from "../../domain/errors.ts";
import type { FoundHolders } from "../../domain/holders.ts";
import type { DeviceId, DeviceName, PoolName } from "../../domain/identifiers.ts";
import { DirectReader } from "../../system/block/direct-reads.ts";
import { runCommand } from "../../system/process/commands.ts";
import {
  type CloseReport,
  type Driver,
  type FoundDevice,
  type GrowRequest,
  headBytes,
  LostPool,
  type OpenRequest,
  type Ownership,
  type PoolUsage,
} from "../port.ts";
import { type DmControl, DmError, isDmError, type PoolMessage } from "./control/control.ts";
import { devicePath } from "./control/names.ts";
import { Activations } from "./device/activations.ts";
import { eraseDevice } from "./device/delete.ts";
import { flushDevice, requireNothingLost } from "./device/flush.ts";
import { matchDevices } from "./device/match-devices.ts";
import { metadataDeviceOf, PoolContents } from "./pool/contents.ts";
import { createThinPool } from "./pool/create.ts";
import { definitionPath, readDefinition } from "./pool/definition.ts";
import { requireFreeSpace, requireWritable } from "./pool/free-space.ts";
import { spaceInPool } from "./pool/geometry.ts";
import { stateOf } from "./pool/health.ts";
import { dataDeviceOf, requireFiles } from "./pool/storage.ts";
import { loadThinPool, type ThinPool } from "./pool/thin-pool.ts";

export interface DevmapperOptions {
  readonly pool: PoolName;
  readonly poolDir: string;
  /** Of the pool that is made in sparse files in `poolDir` when there is none. */
  readonly sizeBytes: number;
  /** Connects to the kernel's device-mapper; the connection is closed with the driver. */
  readonly connect: () => DmControl;
  /** With less than this share of data or metadata free, nothing new is made. 0.1 is a tenth. */
  readonly minFreeShare: number;
  /** Has a device's blocks discarded before it is deleted. */
  readonly discardBlocks: boolean;
  /** Called with sentences that an operator should know. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
}

/** A driver for the thin-pool that is defined in `poolDir`; nothing is touched before `open`. */
export const createDevmapperDriver = (options: DevmapperOptions): Driver => new DevmapperDriver(options);

interface Parts {
  readonly control: DmControl;
  /** What was active when the pool was opened. */
  readonly found: ReadonlySet<DeviceName>;
  readonly pool: ThinPool;
  readonly contents: PoolContents;
  readonly activations: Activations;
}

class DevmapperDriver implements Driver {
  readonly name = "devmapper";
  readonly #options: DevmapperOptions;
  #parts: Parts | undefined;
  #isClaimed = false;

  constructor(options: DevmapperOptions) {
    this.#options = options;
  }

  async open(request: OpenRequest = { mustExist: false }): Promise<void> {
    if (this.#parts !== undefined) return;
    const control = this.#options.connect();
    try {
      this.#parts = await this.#assemble(control, request);
    } catch (error) {
      await control[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #assemble(control: DmControl, request: OpenRequest): Promise<Parts> {
    const pool = await this.#load(control, request);
    try {
      return await this.#equip(control, pool);
    } catch (error) {
      if (!pool.wasLoaded) await pool.close();
      throw error;
    }
  }

  async #equip(control: DmControl, pool: ThinPool): Promise<Parts> {
    const { pool: poolName } = this.#options;
    const path = await metadataDeviceOf(pool.definition);
    if (path === undefined) throw internal(`the metadata of pool ${poolName} is not attached, but the pool is loaded`);
    const contents = new PoolContents(path, { control, poolDevice: pool.deviceName });
    // The process that held it has died, and there can be only one.
    const isHeld = (await pool.status()).heldMetadataRoot !== undefined;
    if (isHeld) await control.message(pool.deviceName, { kind: "release_metadata_snap" });
    const activations = new Activations({ control, pool: poolName, poolPath: pool.path });
    await activations.reconcile();
    return { control, pool, contents, activations, found: new Set(activations.active()) };
  }

  async #load(control: DmControl, { mustExist }: OpenRequest): Promise<ThinPool> {
    const { pool, poolDir, sizeBytes, onNotice } = this.#options;
    const definition = await readDefinition(poolDir);
    if (definition !== undefined) {
      if (mustExist) await requireFiles(definition);
      return await loadThinPool({ control, definition, poolDir, onNotice });
    }
    if (mustExist) {
      throw new LostPool(pool, `${definitionPath(poolDir)} is not there`, "put it back, with the files of the pool");
    }
    const storage = { kind: "loopback", directory: poolDir, dataBytes: sizeBytes } as const;
    return await createThinPool({ control, poolDir, plan: { pool, storage }, onNotice });
  }

  async claim(known: Ownership | undefined, takeOver: () => Ownership): Promise<void> {
    await this.#opened().pool.claim(known, takeOver);
    this.#isClaimed = true;
  }

  async close(): Promise<CloseReport> {
    if (this.#parts === undefined) return { stillInUse: [] };
    const { control, pool, activations, found } = this.#parts;
    const stillInUse: string[] = [];
    for (const device of activations.active()) {
      if (!this.#isClaimed && found.has(device)) continue;
      try {
        await activations.deactivate(device);
      } catch (error) {
        if (!isSnapmillError(error, "failed_precondition")) throw error;
        stillInUse.push(error.message);
      }
    }
    if (stillInUse.length === 0 && (this.#isClaimed || !pool.wasLoaded)) {
      const obstacle = await pool.close();
      if (obstacle !== undefined) stillInUse.push(obstacle);
    }
    this.#parts = undefined;
    this.#isClaimed = false;
    await control[Symbol.asyncDispose]();
    return { stillInUse };
  }

  create(device: DeviceRef): Promise<void> {
    return this.#act("create", device, async (parts) => {
      requireBlocks(device);
      await this.#requireFreeSpace(parts);
      await parts.activations.deactivate(device.deviceName);
      await this.#make(parts, { kind: "create_thin", deviceId: device.deviceId });
    });
  }

  snapshot(origin: DeviceRef, device: DeviceRef): Promise<void> {
    return this.#act("snapshot to", device, (parts) => this.#snapshot(parts, origin, device));
  }

  async #snapshot(parts: Parts, origin: DeviceRef, device: DeviceRef): Promise<void> {
    requireBlocks(device);
    requireFitting(origin, device);
    await this.#requireFreeSpace(parts);
    await parts.activations.deactivate(device.deviceName);
    const message = { kind: "create_snap", deviceId: device.deviceId, originId: origin.deviceId } as const;
    try {
      await parts.activations.whileSuspended(origin.deviceName, () => this.#make(parts, message));
    } catch (error) {
      throw isDmError(error, "ENODATA") ? missing(origin, error) : error;
    }
  }

  /** A device that is suspended has its file system frozen, wherever that is mounted. */
  checkpoint(origin: DeviceRef, device: DeviceRef): Promise<void> {
    return this.#act("checkpoint to", device, async (parts) => {
      await this.#snapshot(parts, origin, device);
      await requireNothingLost(parts, origin.deviceName);
    });
  }

  async #requireFreeSpace({ pool, contents }: Parts): Promise<void> {
    await requireFreeSpace(pool.definition, contents.superblock(), this.#options.minFreeShare);
  }

  async #make(parts: Parts, message: Extract<PoolMessage, { kind: "create_thin" | "create_snap" }>): Promise<void> {
    const { control, pool } = parts;
    try {
      await control.message(pool.deviceName, message);
    } catch (error) {
      // A half-made device with the same ID is made anew.
      if (!isDmError(error, "EEXIST")) throw error;
      await eraseDevice(control, pool, message.deviceId);
      await control.message(pool.deviceName, message);
    }
  }

  activate(device: DeviceRef): Promise<void> {
    return this.#act("activate", device, async ({ activations }) => {
      try {
        await activations.activate(device);
      } catch (error) {
        if (isDmError(error, "ENODATA")) throw missing(device, error);
        throw error;
      }
    });
  }

  deactivate(device: DeviceRef): Promise<void> {
    return this.#act("deactivate", device, ({ activations }) => activations.deactivate(device.deviceName));
  }

  delete(device: DeviceRef): Promise<void> {
    return this.#act("delete", device, async (parts) => {
      const { activations, contents } = parts;
      await activations.deactivate(device.deviceName);
      if (!(await contents.has(device.deviceId))) return;
      if (this.#options.discardBlocks) await this.#discard(parts, device);
      await eraseDevice(parts.control, parts.pool, device.deviceId);
    });
  }

  /** The device was inactive, so it is not in use. A device whose blocks cannot be discarded is deleted nevertheless. */
  async #discard({ activations }: Parts, device: DeviceRef): Promise<void> {
    await activations.activate(device);
    try {
      await runCommand("blkdiscard", [devicePath(device.deviceName)], { timeoutMs: discardTimeoutMs });
    } catch (error) {
      this.#options.onNotice?.(
        `device ${device.deviceName} is deleted without a discard: ${asSnapmillError(error).message}`,
      );
    }
    await activations.deactivate(device.deviceName);
  }

  resume(device: DeviceRef): Promise<void> {
    return this.#act("resume", device, ({ activations }) => activations.resume(device.deviceName));
  }

  flush(device: DeviceRef): Promise<void> {
    return this.#act("flush", device, async (parts) => {
      const { activations, contents } = parts;
      if (!activations.isActive(device.deviceName) && !(await contents.has(device.deviceId))) throw missing(device);
      await flushDevice(parts, device.deviceName);
    });
  }

  isBusy(device: DeviceRef): Promise<boolean> {
    return this.#act("inspect", device, ({ activations }) => activations.isBusy(device.deviceName));
  }

  holders(device: DeviceRef): Promise<FoundHolders> {
    return this.#act("inspect", device, ({ activations }) => activations.holders(device.deviceName));
  }

  usedBytes(device: DeviceRef): Promise<number> {
    return this.#act("inspect", device, async ({ contents }) => {
      const usedBytes = await contents.mappedBytes(device.deviceId);
      if (usedBytes === undefined) throw missing(device);
      return usedBytes;
    });
  }

  head(device: DeviceRef): Promise<Buffer> {
    return this.#act("read", device, async ({ pool, contents }) => {
      if (!(await contents.has(device.deviceId))) throw missing(device);
      const offsetBytes = await contents.offsetOfHead(device.deviceId);
      if (offsetBytes === undefined) return Buffer.alloc(headBytes);
      using reader = new DirectReader(await dataDeviceOf(pool.definition));
      return reader.read(offsetBytes, headBytes);
    });
  }

  async poolUsage(): Promise<PoolUsage> {
    const { pool } = this.#opened();
    const status = await pool.status();
    const { data, metadata } = spaceInPool(pool.definition, status);
    return { ...data, metadata, state: stateOf(status), isMetadataHeld: status.heldMetadataRoot !== undefined };
  }

  grow(request: GrowRequest): Promise<void> {
    return this.#opened().pool.grow(request);
  }

  devicePath(deviceName: DeviceName): string {
    return devicePath(deviceName);
  }

  async list(known: readonly DeviceRef[] = []): Promise<readonly FoundDevice[]> {
    const { contents, activations } = this.#opened();
    await activations.reconcile();
    const names = new Set(known.map(({ deviceName }) => deviceName));
    const active = new Map<DeviceName, DeviceId | undefined>();
    for (const deviceName of activations.active()) {
      active.set(deviceName, names.has(deviceName) ? undefined : await activations.deviceIdOf(deviceName));
    }
    return matchDevices({ known, inPool: await contents.all(), active });
  }

  #opened(): Parts {
    if (this.#parts !== undefined) return this.#parts;
    throw failedPrecondition(`the pool ${this.#options.pool} is not open`);
  }

  /** Runs one operation on one device; errors get the port's codes, and the device's name. */
  async #act<T>(verb: string, device: DeviceRef, action: (parts: Parts) => Promise<T>): Promise<T> {
    const parts = this.#opened();
    try {
      return await action(parts);
    } catch (error) {
      if (isSnapmillError(error) && !(error instanceof DmError)) throw error;
      const attempt = `cannot ${verb} device ${device.deviceName}`;
      // The answer of a pool that has failed to every message.
      if (isDmError(error, "EOPNOTSUPP")) requireWritable(parts.pool.definition, await parts.pool.status(), attempt);
      const { code, message } = asSnapmillError(error);
      throw new SnapmillError(code, `${attempt}: ${message}`, { cause: error });
    }
  }
}

const discardTimeoutMs = 10 * 60_000;

function requireBlocks({ deviceName, sizeBytes }: DeviceRef): void {
  if (Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % blockBytes === 0) return;
  throw invalidArgument(`device ${deviceName}: ${sizeBytes} bytes are no whole number of ${blockBytes}-byte blocks`);
}

/** The block size of file systems; a thin device may have any number of sectors. */
const blockBytes = 4096;

function requireFitting(origin: DeviceRef, device: DeviceRef): void {
  if (device.sizeBytes >= origin.sizeBytes) return;
  throw invalidArgument(
    `device ${device.deviceName} of ${device.sizeBytes} bytes is smaller than its origin ${origin.deviceName} of ${origin.sizeBytes}`,
  );
}

const missing = ({ deviceName, deviceId }: DeviceRef, cause?: unknown) =>
  notFound(`there is no device ${deviceName} (ID ${deviceId}) in the pool`, cause);
