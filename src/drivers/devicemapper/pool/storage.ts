// Room: drivers. Owns the two block devices under a thin-pool: given ones, or loop devices on files.
import { existsSync } from "node:fs";
import { readlink, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { failedPrecondition, notFound } from "../../../domain/errors.ts";
import { findLoops, loopAt } from "../../../system/block/attached-loops.ts";
import { type BlockDevice, inspectBlockDevice } from "../../../system/block/block-devices.ts";
import { attachLoop, type LoopDevice } from "../../../system/block/loop.ts";
import { isErrno } from "../../../system/ffi/errno.ts";
import { requireUnshared } from "../../../system/file/shared-paths.ts";
import { LostPool } from "../../port.ts";
import type { PoolDefinition, PoolStorage } from "./definition.ts";

export interface PoolFiles {
  readonly data: string;
  readonly metadata: string;
}

export const filesIn = (directory: string): PoolFiles => ({
  data: join(directory, "data.img"),
  metadata: join(directory, "metadata.img"),
});

/** The path for thin_check and the like while the pool is not loaded. */
export const metadataPathOf = (storage: PoolStorage): string =>
  storage.kind === "devices" ? storage.metadataDevice : filesIn(storage.directory).metadata;

/**
 * Logical block size of the loop devices, and so of the pool's devices: with it direct I/O works on every host, also on
 * disks with sectors of 4 KiB. A file system made with it works on devices of 512 bytes too, but not the reverse.
 */
const loopBlockBytes = 4096;

/** The devices of a pool that is not loaded yet. Disposing of them detaches the loop devices that no pool uses. */
export interface AttachedStorage extends AsyncDisposable {
  readonly data: BlockDevice;
  readonly metadata: BlockDevice;
}

/**
 * The devices of a pool that is not loaded. Loop devices detach themselves after their last use: once the pool is loaded
 * they exist for exactly as long as it does, however this process ends.
 * Errors: `not_found`, `failed_precondition` when a file is attached already, or other users could have put another there.
 */
export async function attachStorage(storage: PoolStorage): Promise<AttachedStorage> {
  if (storage.kind === "devices") {
    const [data, metadata] = await Promise.all([storage.dataDevice, storage.metadataDevice].map(inspectBlockDevice));
    if (data === undefined || metadata === undefined) throw notFound("a pool needs two devices");
    return { data, metadata, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  await using borrowed = new AsyncDisposableStack();
  const files = filesIn(storage.directory);
  const data = borrowed.use(await attachFile(files.data));
  const metadata = borrowed.use(await attachFile(files.metadata));
  const devices = { data: await inspectBlockDevice(data.path), metadata: await inspectBlockDevice(metadata.path) };
  const kept = borrowed.move();
  return { ...devices, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function attachFile(file: string): Promise<LoopDevice> {
  const path = await realFile(file);
  requireUnshared(path);
  const other = await patientlyGone(path);
  if (other !== undefined) {
    throw failedPrecondition(`${path} is attached to ${other} already, which is not this pool's: losetup -d ${other}`);
  }
  return await attachLoop(path, { directIo: true, autoClear: true, blockSizeBytes: loopBlockBytes });
}

async function realFile(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    if (isErrno(error, "ENOENT")) throw notFound(`the pool's file ${file} is not there`, error);
    throw error;
  }
}

/** Throws LostPool when a file of the pool is not there. */
export async function requireFiles({ pool, storage }: PoolDefinition): Promise<void> {
  if (storage.kind === "devices") return;
  for (const file of Object.values(filesIn(storage.directory))) {
    if (existsSync(file)) continue;
    throw new LostPool(pool, `${file} is not there`, "put it back, from a backup or from where it was moved to");
  }
}

/** The block device of the data of a pool that is loaded. */
export async function dataDeviceOf({ storage }: PoolDefinition): Promise<string> {
  if (storage.kind === "devices") return storage.dataDevice;
  const file = await realFile(filesIn(storage.directory).data);
  const [loop] = await findLoops(file);
  if (loop === undefined) throw notFound(`the pool's file ${file} is not attached`);
  return loop.path;
}

const goneAttempts = 40;
const gonePauseMs = 50;

/** A loop device that still has `file`. The kernel detaches one a moment after its last use. */
async function patientlyGone(file: string): Promise<string | undefined> {
  for (let attempt = 1; ; attempt++) {
    const [loop] = await findLoops(file);
    if (loop === undefined || attempt === goneAttempts) return loop?.path;
    await delay(gonePauseMs);
  }
}

/** After the removal of the pool's device: waits until its loop devices are detached; returns those that stay. */
export async function waitForLoops(storage: PoolStorage): Promise<readonly string[]> {
  if (storage.kind === "devices") return [];
  const { data, metadata } = filesIn(storage.directory);
  const left = await Promise.all([data, metadata].map((file) => patientlyGone(file)));
  return left.filter((path) => path !== undefined);
}

/** Whether the device `number` (`major:minor`, or a path) of a loaded pool's table is the one that `storage` says. */
export async function isStorageDevice(storage: PoolStorage, which: "data" | "metadata", number: string) {
  const given = number.startsWith("/") ? (await inspectBlockDevice(number)).number : number;
  if (storage.kind === "loopback") {
    const file = await realFile(filesIn(storage.directory)[which]);
    const loop = await loopAt(`/dev/${basename(await readlink(`/sys/dev/block/${given}`))}`);
    return loop !== undefined && loop.backingFile === file && !loop.deleted;
  }
  const path = which === "data" ? storage.dataDevice : storage.metadataDevice;
  return (await inspectBlockDevice(path)).number === given;
}
