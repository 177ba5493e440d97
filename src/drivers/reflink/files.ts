// Room: drivers. Owns the devices' files: made under another name, then renamed into place and flushed.
import { constants } from "node:fs";
import { copyFile, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceRef } from "../../domain/devices.ts";
import { invalidArgument, notFound } from "../../domain/errors.ts";
import type { DeviceName, PoolName } from "../../domain/identifiers.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { placeFile, syncPath } from "../../system/file/durable.ts";
import { blockBytes, deviceFile, deviceOfFile, halfMade, isHalfMade } from "./layout.ts";

/** After a power cut, the file may be there in part: callers record a device as half-made until this has ended. */
export async function makeFile(dir: string, device: DeviceRef): Promise<void> {
  requireBlocks(device);
  const file = deviceFile(dir, device.deviceName);
  const unfinished = halfMade(file);
  await rm(unfinished, { force: true });
  await writeFile(unfinished, "", { flag: "wx", mode: 0o600 });
  await truncate(unfinished, device.sizeBytes);
  await placeFile(unfinished, file);
}

/** The copy shares every block with its origin until one of them is written to. A power cut leaves what `makeFile` leaves. */
export async function cloneFile(dir: string, origin: DeviceRef, device: DeviceRef): Promise<void> {
  requireBlocks(device);
  const file = deviceFile(dir, device.deviceName);
  const unfinished = halfMade(file);
  await rm(unfinished, { force: true });
  await copyFile(deviceFile(dir, origin.deviceName), unfinished, constants.COPYFILE_FICLONE_FORCE);
  await truncate(unfinished, device.sizeBytes);
  await placeFile(unfinished, file);
}

function requireBlocks({ deviceName, sizeBytes }: DeviceRef): void {
  if (Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % blockBytes === 0) return;
  throw invalidArgument(`device ${deviceName}: ${sizeBytes} bytes are no whole number of ${blockBytes}-byte blocks`);
}

export async function requireFitting(dir: string, origin: DeviceRef, device: DeviceRef): Promise<void> {
  const originBytes = (await statFile(dir, origin.deviceName)).size;
  if (device.sizeBytes >= originBytes) return;
  throw invalidArgument(
    `device ${device.deviceName} of ${device.sizeBytes} bytes is smaller than its origin ${origin.deviceName} of ${originBytes}`,
  );
}

/** Size and mapped blocks of a device's file. Throws `not_found`. */
export async function statFile(dir: string, device: DeviceName) {
  try {
    return await stat(deviceFile(dir, device));
  } catch (error) {
    if (isErrno(error, "ENOENT")) throw notFound(`there is no device ${device} in the pool at ${dir}`, error);
    throw error;
  }
}

/** Space that the file maps, shared blocks counted in full. `st_blocks` counts in 512 bytes whatever the file system. */
export const mappedBytes = async (dir: string, device: DeviceName): Promise<number> =>
  (await statFile(dir, device)).blocks * 512;

/**
 * The rename makes the removal atomic. Truncating the file frees its blocks at once, while XFS frees those of an unlinked
 * file some time later.
 */
export async function removeFile(dir: string, device: DeviceName): Promise<void> {
  const file = deviceFile(dir, device);
  const doomed = halfMade(file);
  await rm(doomed, { force: true });
  try {
    await rename(file, doomed);
    await truncate(doomed, 0);
    await rm(doomed);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  await syncPath(dir);
}

export async function listFiles(dir: string, pool: PoolName): Promise<DeviceName[]> {
  return (await readdir(dir)).flatMap((name) => deviceOfFile(pool, name) ?? []);
}

/** Removes unfinished files of a process that died, among those that `isOurs` accepts. */
export async function removeHalfMade(dir: string, isOurs = isHalfMade): Promise<void> {
  for (const name of await readdir(dir)) {
    if (isOurs(name)) await rm(join(dir, name), { recursive: true, force: true });
  }
}
