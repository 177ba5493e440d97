// Room: system. Owns rest: a file system with nothing to replay, how a mounted one gets there, and how its device tells.
import { closeSync } from "node:fs";
import { open } from "node:fs/promises";
import { CommandError, runCommand } from "../process/commands.ts";
import { configure, pickContext, reconfigureSuperblock } from "./context.ts";

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

/** Offsets in an ext4 superblock, which begins at byte 1024 (kernel documentation, "Super Block"). */
const ext4 = { at: 1024, magicAt: 0x38, magic: 0xef53, stateAt: 0x3a, valid: 1, incompatAt: 0x60, recover: 4 } as const;

/**
 * Whether the file system on a device, or in its file, has nothing to replay: it was unmounted, frozen or brought to rest.
 * False for what is no file system of ours, and for an XFS that is merely frozen.
 */
export async function isAtRest(path: string): Promise<boolean> {
  const head = Buffer.alloc(2048);
  {
    await using handle = await open(path, "r");
    await handle.read(head, 0, head.length, 0);
  }
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
