// Room: drivers. Owns the reflink driver: a device is a file, a snapshot a reflink copy, an activation a loop device.
import type { DeviceRef } from "../../domain/devices.ts";
import {
  asSnapmillError,
  failedPrecondition,
  internal,
  isSnapmillError,
  resourceExhausted,
  SnapmillError,
} from "../../domain/errors.ts";
import { type FoundHolders, noHolders } from "../../domain/holders.ts";
import type { DeviceName, PoolName } from "../../domain/identifiers.ts";
import { readBeginning } from "../../system/block/block-devices.ts";
import { holdersOf } from "../../system/block/holders.ts";
import { isInUse } from "../../system/block/openers.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { removeEmptyDirectories } from "../../system/file/directories.ts";
import { syncPath } from "../../system/file/durable.ts";
import { spaceOf } from "../../system/file/space.ts";
import { hasRecordedErrors } from "../../system/mount/filesystems.ts";
import { hasNothingToReplay, isMountedAtRest } from "../../system/mount/rest.ts";
import {
  type AdoptedCopy,
  type CloseReport,
  type Driver,
  type FoundDevice,
  headBytes,
  type OpenRequest,
  type Ownership,
  type PoolUsage,
} from "../port.ts";
import { Activations } from "./activations.ts";
import {
  adoptCopies,
  cloneFile,
  listFiles,
  makeFile,
  mappedBytes,
  removeCopies,
  removeFile,
  removeHalfMade,
  removeStrayCopies,
  requireFitting,
  statFile,
} from "./files.ts";
import { isFull, requireFreeSpace } from "./free-space.ts";
import { Freezer } from "./freezer.ts";
import { deviceFile, devicePath } from "./layout.ts";
import { type OpenPool, openPool } from "./pool.ts";

export interface ReflinkOptions {
  readonly pool: PoolName;
  readonly poolDir: string;
  /** Where the stable paths of active devices appear; not shared with another pool. */
  readonly devicesDir: string;
  /** `devicesDir` or a directory above it: up to this one, empty directories are removed with the pool. */
  readonly runDir: string;
  /** Of a new pool; see openPool. */
  readonly sizeBytes: number;
  /** With less than this free in the pool, or on the host, nothing new is made. Default: see free-space.ts. */
  readonly minFreeBytes?: number;
  readonly minHostFreeBytes?: number;
  /** Called with sentences that an operator should know. */
  readonly onNotice?: (sentence: string) => void;
}

/** A driver for the pool at `poolDir`; nothing is touched before `open`. */
export const createReflinkDriver = (options: ReflinkOptions): Driver => new ReflinkDriver(options);

const waysToRest = "where it is mounted, 'mount -o remount,ro' makes that unnecessary until it is written to again";

interface Parts {
  readonly pool: OpenPool;
  readonly activations: Activations;
  readonly freezer: Freezer;
}

class ReflinkDriver implements Driver {
  readonly name = "reflink";
  readonly #options: ReflinkOptions;
  #parts: Parts | undefined;
  /** The device whose flush was the last call but for those that only look: what came later belongs to nothing. */
  #flushed: DeviceName | undefined;

  constructor(options: ReflinkOptions) {
    this.#options = options;
  }

  async open(request: OpenRequest = { mustExist: false }): Promise<void> {
    if (this.#parts !== undefined) return;
    const pool = await openPool(this.#options, request);
    try {
      this.#parts = await this.#assemble(pool);
    } catch (error) {
      if (!pool.wasAttached) await pool.close();
      throw error;
    }
  }

  async #assemble(pool: OpenPool): Promise<Parts> {
    const { pool: name, devicesDir } = this.#options;
    const activations = new Activations(name, pool.filesDir, devicesDir);
    const freezer = new Freezer(name, activations, devicesDir);
    await removeHalfMade(pool.filesDir);
    await removeStrayCopies(pool.filesDir, name);
    await activations.reconcile();
    await freezer.reconcile();
    return { pool, activations, freezer };
  }

  /** Only the worker's lock protects a directory. */
  async claim(_known: Ownership | undefined, takeOver: () => Ownership): Promise<void> {
    takeOver();
  }

  async close(): Promise<CloseReport> {
    if (this.#parts === undefined) return { stillInUse: [] };
    const { pool, activations } = this.#parts;
    const { devicesDir, runDir } = this.#options;
    const stillInUse: string[] = [];
    for (const device of activations.active()) {
      try {
        await activations.deactivate(device);
      } catch (error) {
        if (!isSnapmillError(error, "failed_precondition")) throw error;
        stillInUse.push(error.message);
      }
    }
    if (stillInUse.length === 0) {
      const obstacle = await pool.close();
      if (obstacle !== undefined) stillInUse.push(obstacle);
    }
    this.#parts = undefined;
    await removeEmptyDirectories(devicesDir, runDir);
    return { stillInUse };
  }

  create(device: DeviceRef): Promise<void> {
    return this.#act("create", device, async ({ pool, activations }) => {
      await requireFreeSpace(pool, this.#limits());
      await activations.deactivate(device.deviceName);
      await makeFile(pool.filesDir, device);
    });
  }

  snapshot(origin: DeviceRef, device: DeviceRef): Promise<void> {
    return this.#act("snapshot to", device, async ({ pool, activations, freezer }) => {
      await requireFitting(pool.filesDir, origin, device);
      await requireFreeSpace(pool, this.#limits());
      await activations.deactivate(device.deviceName);
      await using _held = await freezer.hold(origin.deviceName);
      await cloneFile(pool.filesDir, origin, device);
    });
  }

  checkpoint(origin: DeviceRef, device: DeviceRef): Promise<void> {
    return this.#act("checkpoint to", device, async (parts) => {
      const { pool, activations, freezer } = parts;
      await requireFitting(pool.filesDir, origin, device);
      await requireFreeSpace(pool, this.#limits());
      await activations.deactivate(device.deviceName);
      await using held = await freezer.holdIfReached(origin.deviceName);
      const isAtRest = !held.isOutOfReach || (await isMountedAtRest(this.devicePath(origin.deviceName)));
      if (isAtRest) await cloneFile(pool.filesDir, origin, device);
      // Asked of the copy, which is of one moment: meanwhile there may have been writes again.
      if (
        !isAtRest ||
        (held.isOutOfReach && !(await hasNothingToReplay(deviceFile(pool.filesDir, device.deviceName))))
      ) {
        const { code, message } = await freezer.outOfReach(origin.deviceName);
        throw new SnapmillError(code, `${message}; ${waysToRest}`);
      }
      await this.#requireNothingLost(pool, origin.deviceName, deviceFile(pool.filesDir, device.deviceName));
    });
  }

  readonly adopt = (origin: DeviceRef, copies: readonly AdoptedCopy[]): Promise<void> =>
    this.#act("adopt copies of", origin, async ({ pool, activations }) => {
      for (const { device } of copies) await activations.deactivate(device.deviceName);
      await adoptCopies(pool.filesDir, origin, copies);
      // What was lost before an older copy is recorded in the newest as well.
      const newest = copies.at(-1)?.device.deviceName ?? origin.deviceName;
      await this.#requireNothingLost(pool, newest, deviceFile(pool.filesDir, newest));
    });

  activate(device: DeviceRef): Promise<void> {
    return this.#act("activate", device, async ({ pool, activations }) => {
      await statFile(pool.filesDir, device.deviceName);
      await activations.activate(device.deviceName);
    });
  }

  deactivate(device: DeviceRef): Promise<void> {
    const isFlushed = this.#flushed === device.deviceName;
    return this.#act("deactivate", device, async ({ pool, activations }) => {
      await activations.deactivate(device.deviceName, { isFlushed });
      await removeCopies(pool.filesDir, device.deviceName);
    });
  }

  delete(device: DeviceRef): Promise<void> {
    return this.#act("delete", device, async ({ pool, activations }) => {
      await activations.deactivate(device.deviceName);
      await removeFile(pool.filesDir, device.deviceName);
    });
  }

  resume(device: DeviceRef): Promise<void> {
    return this.#act("resume", device, ({ freezer }) => freezer.thaw(device.deviceName));
  }

  flush(device: DeviceRef): Promise<void> {
    return this.#act("flush", device, async ({ pool, activations, freezer }) => {
      await statFile(pool.filesDir, device.deviceName);
      await using _held = await freezer.hold(device.deviceName);
      const file = deviceFile(pool.filesDir, device.deviceName);
      const loop = await activations.loopOf(device.deviceName);
      // An active device has been flushed by `hold`, which has its file flushed as well.
      if (loop === undefined) await syncPath(file);
      await this.#requireNothingLost(pool, device.deviceName, loop ?? file);
      this.#flushed = device.deviceName;
    });
  }

  /** After an unmount, fsync no longer reports earlier failed writes, so other evidence is checked, in `content`. */
  async #requireNothingLost(pool: OpenPool, device: DeviceName, content: string): Promise<void> {
    const wayOut = "remove its snapshot and make it anew";
    if (await isFull(pool)) {
      throw resourceExhausted(`device ${device}: the pool is full, writes may have been lost; make room, ${wayOut}`);
    }
    if (await hasRecordedErrors(content)) {
      throw resourceExhausted(`device ${device}: writes failed, since the pool was full or its disk faulty; ${wayOut}`);
    }
  }

  isBusy(device: DeviceRef): Promise<boolean> {
    return this.#act("inspect", device, async ({ activations }) => {
      const loop = await activations.loopOf(device.deviceName);
      return loop !== undefined && (await isInUse(loop));
    });
  }

  holders(device: DeviceRef): Promise<FoundHolders> {
    return this.#act("inspect", device, async ({ activations }) => {
      const loop = await activations.loopOf(device.deviceName);
      return loop === undefined ? noHolders : await holdersOf(loop);
    });
  }

  usedBytes(device: DeviceRef): Promise<number> {
    return this.#act("inspect", device, ({ pool }) => mappedBytes(pool.filesDir, device.deviceName));
  }

  head(device: DeviceRef): Promise<Buffer> {
    return this.#act("read", device, async ({ pool }) => {
      await statFile(pool.filesDir, device.deviceName);
      return await readBeginning(deviceFile(pool.filesDir, device.deviceName), headBytes);
    });
  }

  async poolUsage(): Promise<PoolUsage> {
    const { usedBytes, totalBytes } = await spaceOf(this.#opened().pool.filesDir);
    return { usedBytes, totalBytes };
  }

  grow(): Promise<void> {
    const wayOut = "make a new pool of the size that is wanted (--pool, --size)";
    return Promise.reject(failedPrecondition(`a pool of the reflink driver keeps its size: ${wayOut}`));
  }

  devicePath(deviceName: DeviceName): string {
    return devicePath(this.#options.devicesDir, deviceName);
  }

  async list(): Promise<readonly FoundDevice[]> {
    const { pool, activations } = this.#opened();
    const files = new Set(await listFiles(pool.filesDir, this.#options.pool));
    const found = await activations.found();
    return [...new Set([...files, ...found.keys()])].map((deviceName) => ({
      deviceName,
      inPool: files.has(deviceName),
      active: found.get(deviceName) === "active",
    }));
  }

  #limits() {
    return { minFreeBytes: this.#options.minFreeBytes, minHostFreeBytes: this.#options.minHostFreeBytes };
  }

  #opened(): Parts {
    if (this.#parts !== undefined) return this.#parts;
    throw failedPrecondition(`the pool ${this.#options.pool} is not open`);
  }

  /** Runs one operation on one device; errors get the port's codes. */
  async #act<T>(verb: string, device: DeviceRef, action: (parts: Parts) => Promise<T>): Promise<T> {
    const parts = this.#opened();
    if (verb !== "inspect") this.#flushed = undefined;
    try {
      return await action(parts);
    } catch (error) {
      if (isSnapmillError(error)) throw error;
      const said = `cannot ${verb} device ${device.deviceName}: ${asSnapmillError(error).message}`;
      if (isErrno(error, "ENOSPC", "EDQUOT")) throw resourceExhausted(said, error);
      // A loop device reports any failure below it as EIO, also a lack of space.
      if (isErrno(error, "EIO") && (await isFull(parts.pool))) throw resourceExhausted(said, error);
      throw internal(said, error);
    }
  }
}
