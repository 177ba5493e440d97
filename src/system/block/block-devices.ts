// Room: system. Owns what a block device is: its number, its size, and what lies at its beginning.
import { constants } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { invalidArgument, notFound } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { CommandError, runCommand } from "../process/commands.ts";

export interface BlockDevice {
  /** As it was given. */
  readonly path: string;
  /** `major:minor`, as the kernel writes it. */
  readonly number: string;
  readonly sizeBytes: number;
}

/** Throws `not_found` when nothing is there, `invalid_argument` when it is no block device. */
export async function inspectBlockDevice(path: string): Promise<BlockDevice> {
  const found = await statDevice(path);
  if (!found.isBlockDevice()) throw invalidArgument(`${path} is no block device`);
  const number = deviceNumberText(found.rdev);
  return { path, number, sizeBytes: await sizeOfBlockDevice(number) };
}

/** Size in bytes of the device `major:minor`. */
export async function sizeOfBlockDevice(number: string): Promise<number> {
  // Counted in 512 bytes, whatever the device's own block size.
  return Number(await readFile(`/sys/dev/block/${number}/size`, "utf8")) * 512;
}

async function statDevice(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) throw notFound(`there is no block device at ${path}`, error);
    throw error;
  }
}

/** `major:minor` of the block device at `path`; undefined when there is none. */
export async function deviceNumberOf(path: string): Promise<string | undefined> {
  try {
    return deviceNumberText((await stat(path)).rdev);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** `major:minor` of a device number as stat(2) has it (glibc's gnu_dev_major and gnu_dev_minor). */
export function deviceNumberText(rdev: number): string {
  const number = BigInt(rdev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** The first `lengthBytes` of a file or block device; less when it ends before. */
export async function readBeginning(path: string, lengthBytes: number): Promise<Buffer> {
  await using handle = await open(path, constants.O_RDONLY);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(lengthBytes), 0, lengthBytes, 0);
  return buffer.subarray(0, bytesRead);
}

/** Overwrites the first `lengthBytes` with zeroes, durably. EBUSY when the block device is mounted. */
export async function wipeBeginning(path: string, lengthBytes: number): Promise<void> {
  await using handle = await open(path, constants.O_WRONLY | constants.O_EXCL);
  await handle.write(Buffer.alloc(lengthBytes), 0, lengthBytes, 0);
  await handle.sync();
}

/** What a file system, partition table or other known content on the device is called; undefined when none is known. */
export async function knownContentOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await runCommand("blkid", ["-p", "-o", "value", "-s", "TYPE", "-s", "PTTYPE", path]);
    return stdout.trim().split("\n")[0] || undefined;
  } catch (error) {
    // blkid's exit status when it recognises nothing.
    if (error instanceof CommandError && error.exitCode === 2) return undefined;
    throw error;
  }
}
