// Room: drivers. Owns the devices' files: made under another name, then renamed into place and flushed.
import { constants, existsSync } from "node:fs";
import { copyFile, link, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceRef } from "../../domain/devices.ts";
import { failedPrecondition, invalidArgument, notFound } from "../../domain/errors.ts";
import type { DeviceName, PoolName } from "../../domain/identifiers.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { placeFile, syncPath } from "../../system/file/durable.ts";
import { hasNothingToReplay } from "../../system/mount/rest.ts";
import type { AdoptedCopy } from "../port.ts";
import { blockBytes, copiesDir, deviceFile, deviceOfCopies, deviceOfFile, halfMade, isHalfMade } from "./layout.ts";

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

/**
 * Makes device files of copies of `origin`. Each copy stays beside its device, as another link to the same file, so that an
 * operation that is interrupted can be repeated: until the next call, or until the origin is deactivated or deleted.
 */
export async function adoptCopies(dir: string, origin: DeviceRef, copies: readonly AdoptedCopy[]): Promise<void> {
  const from = copiesDir(dir, origin.deviceName);
  await removeAdopted(from, new Set(copies.map(({ copy }) => copy)));
  for (const { copy, device } of copies) await requireCopy(join(from, copy), device);
  for (const { copy, device } of copies) {
    const file = deviceFile(dir, device.deviceName);
    await rm(file, { force: true });
    await link(join(from, copy), file);
  }
  // Newest first, and after all the links: one flush of the pool's journal is then enough for all of them.
  for (const { device } of copies.toReversed()) await syncPath(deviceFile(dir, device.deviceName));
  await syncPath(dir);
}

async function removeAdopted(directory: string, kept: ReadonlySet<string>): Promise<void> {
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    if (!kept.has(name) && (await isAdopted(path))) await rm(path);
  }
}

/** Whoever makes a copy may be taking it back. */
async function isAdopted(path: string): Promise<boolean> {
  try {
    return (await stat(path)).nlink > 1;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

/** Removes what is left of the copies of a device. */
export const removeCopies = (dir: string, device: DeviceName): Promise<void> =>
  rm(copiesDir(dir, device), { recursive: true, force: true });

async function requireCopy(path: string, { deviceName, sizeBytes }: DeviceRef): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (isErrno(error, "ENOENT"))
      throw failedPrecondition(`the copy ${path}, to be device ${deviceName}, is gone`, error);
    throw error;
  });
  if (found.isFile() && found.size === sizeBytes && (await hasNothingToReplay(path))) return;
  throw failedPrecondition(`the copy ${path}, to be device ${deviceName}, is not a file system of its size at rest`);
}

/** Removes the copies of devices that are gone. */
export async function removeStrayCopies(dir: string, pool: PoolName): Promise<void> {
  for (const name of await readdir(dir)) {
    const device = deviceOfCopies(pool, name);
    if (device !== undefined && !existsSync(deviceFile(dir, device))) await removeCopies(dir, device);
  }
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
    // Not of one that is a copy beside the device: the operation that made it one is repeated.
    if ((await stat(doomed)).nlink === 1) await truncate(doomed, 0);
    await rm(doomed);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
  await removeCopies(dir, device);
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
