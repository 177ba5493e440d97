// Room: system. Owns rest: a file system with nothing to replay, how a mounted one gets there, and how its device tells.
import { closeSync } from "node:fs";
import { type FsType, fsTypes } from "../../domain/devices.ts";
import { isSnapmillError } from "../../domain/errors.ts";
import { readBeginning } from "../block/block-devices.ts";
import { CommandError, runCommand } from "../process/commands.ts";
import { configure, pickContext, reconfigureSuperblock } from "./context.ts";
import { mountDetached } from "./detached.ts";
import { beginsFileSystem, mountOptions } from "./filesystems.ts";
import { thaw } from "./mounts.ts";

/** As much of a device as tells which file system is on it, and in which state. */
const headBytes = 4096;

/**
 * Brings a mounted file system to rest: all of it is on its device, with nothing in its journal, and no write is accepted
 * (EROFS). `root` is the descriptor of a mount's root. Files that are open for writing prevent it (EBUSY).
 *
 * By making it read-only, not by a freeze: the superblock of a frozen file system outlives its last mount, and keeps the
 * device busy until somebody mounts that again to thaw it. A read-only one goes with the process that has it mounted,
 * however that ends; and XFS leaves a clean log behind only here.
 */
export const bringToRest = (root: number, subject: string): void => reconfigure(root, "ro", subject);

/** Lets a file system that was brought to rest be written to again. EROFS when it is damaged. */
export const wake = (root: number, subject: string): void => reconfigure(root, "rw", subject);

function reconfigure(root: number, access: "ro" | "rw", subject: string): void {
  const context = pickContext(root, subject);
  try {
    configure(context, access, undefined, subject);
    reconfigureSuperblock(context, subject);
  } finally {
    closeSync(context);
  }
}

/**
 * Thaws a file system that was unmounted while it was frozen: its superblock, which keeps the device busy, is mounted once
 * more for that. Nothing is done to a device that is in use in another way.
 */
export async function thawUnmounted(devicePath: string): Promise<void> {
  const head = await readBeginning(devicePath, headBytes);
  const fsType = fsTypes.find((candidate) => beginsFileSystem(head, candidate));
  if (fsType === undefined) return;
  try {
    const options = mountOptions(fsType, false);
    using mount = mountDetached({ source: devicePath, fsType, options, readOnly: false });
    await thaw(`/proc/${process.pid}/fd/${mount.fd}/.`);
  } catch (error) {
    if (!isSnapmillError(error, "failed_precondition")) throw error;
  }
}

/** Offsets in an ext4 superblock, which begins at byte 1024 (kernel documentation, "Super Block"). */
const ext4 = { at: 1024, magicAt: 0x38, magic: 0xef53, stateAt: 0x3a, valid: 1, incompatAt: 0x60, recover: 4 } as const;

/**
 * Whether the file system that some process has mounted from the device is at rest; an ext4 also while it is frozen. False
 * for what is no file system of ours. It says nothing of one that is not mounted.
 */
export async function isMountedAtRest(devicePath: string): Promise<boolean> {
  const head = await readBeginning(devicePath, headBytes);
  // An ext4 that accepts writes says so in its superblock before the first of them; an XFS may have them in memory alone.
  return beginsFileSystem(head, "xfs") ? isReadOnly(devicePath, "xfs") : await hasNothingToReplay(devicePath);
}

/** The kernel gives another mount of a superblock only to who wants it in the state that it is in. */
function isReadOnly(devicePath: string, fsType: FsType): boolean {
  try {
    const options = mountOptions(fsType, true);
    mountDetached({ source: devicePath, fsType, options, readOnly: true })[Symbol.dispose]();
    return true;
  } catch (error) {
    if (isSnapmillError(error, "failed_precondition")) return false;
    throw error;
  }
}

/**
 * Whether the file system in a file, or on a device that is not mounted, has nothing to replay. False for what is no file
 * system of ours, and for an XFS that was merely frozen.
 */
export async function hasNothingToReplay(path: string): Promise<boolean> {
  const head = await readBeginning(path, headBytes);
  if (head.length < headBytes) return false;
  if (head.toString("latin1", 0, 4) === "XFSB") return await hasCleanLog(path);
  if (head.readUInt16LE(ext4.at + ext4.magicAt) !== ext4.magic) return false;
  // Without a journal, only the state says whether it is in use.
  const isValid = (head.readUInt16LE(ext4.at + ext4.stateAt) & ext4.valid) !== 0;
  return isValid && (head.readUInt32LE(ext4.at + ext4.incompatAt) & ext4.recover) === 0;
}

/** The end of an XFS log has to be searched for, which its own tool does. */
async function hasCleanLog(path: string): Promise<boolean> {
  try {
    const { stdout } = await runCommand("xfs_logprint", ["-t", path]);
    return stdout.includes("state: <CLEAN>");
  } catch (error) {
    // It fails on transactions that it does not know; a clean log has none.
    if (error instanceof CommandError) return false;
    throw error;
  }
}
