// Room: system. Owns mounting at a directory, unmounting and freezing, by commands, since each may wait for a disk.
import { failedPrecondition, unavailable } from "../../domain/errors.ts";
import { deviceNumberOf } from "../block/block-devices.ts";
import { CommandError, runCommand } from "../process/commands.ts";
import { isMountPoint, mountAtDir } from "./mountinfo.ts";

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Which files of a mounted file system the host may use as programs, set-user-ID programs and devices. An image's files
 * are untrusted: each is denied unless it is asked for.
 */
export type Trust = "exec" | "suid" | "dev";

const trusts: readonly Trust[] = ["exec", "suid", "dev"];

export interface MountCall extends CallOptions {
  /** Default: none. */
  readonly trust?: readonly Trust[];
}

/**
 * Mounts `source` at the directory `dir`. `failed_precondition` when the source is busy. A mount that is cancelled or
 * runs out of time is unmounted again.
 */
export async function mountAt(
  source: string,
  dir: string,
  fsType: string,
  options: readonly string[] = [],
  { trust = [], ...call }: MountCall = {},
): Promise<void> {
  // Last, since mount(8) takes the later of two words that contradict each other.
  const words = [...options, ...trusts.map((word) => (trust.includes(word) ? word : `no${word}`))];
  try {
    await runCommand("mount", ["-t", fsType, "-o", words.join(","), "--", source, dir], call);
  } catch (error) {
    if (saidBusy(error)) throw failedPrecondition(`${source} or ${dir} is already mounted or busy`, error);
    if (!(error instanceof CommandError)) await undoMount(source, dir).catch(() => undefined);
    throw error;
  }
}

/** Undoes a mount whose effect is unknown; anything else that is mounted at `dir` stays. */
async function undoMount(source: string, dir: string): Promise<void> {
  const mounted = await mountAtDir(dir);
  if (mounted !== undefined && mounted.deviceNumber === (await deviceNumberOf(source))) await unmount(dir);
}

/** Unmounts what is mounted at `dir`; nothing is a success. `failed_precondition` when it is in use. */
export async function unmount(dir: string, call: CallOptions = {}): Promise<void> {
  try {
    await runCommand("umount", ["--", dir], call);
  } catch (error) {
    if (saidBusy(error)) throw failedPrecondition(`${dir} is in use and cannot be unmounted`, error);
    if (!(await isMountPoint(dir))) return;
    throw error;
  }
}

/**
 * Freezes the file system mounted at `dir`: all that was written is on its device, and writers wait until `thaw`.
 * False when it was frozen already. A freeze that runs out of time is thawed again.
 */
export async function freeze(dir: string, call: CallOptions = {}): Promise<boolean> {
  try {
    await runCommand("fsfreeze", ["--freeze", dir], call);
    return true;
  } catch (error) {
    if (saidBusy(error)) return false;
    if (!(error instanceof CommandError)) await thaw(dir);
    throw error;
  }
}

/** Lets writers continue; a file system that is not frozen is a success. */
export async function thaw(dir: string, call: CallOptions = {}): Promise<void> {
  try {
    await runCommand("fsfreeze", ["--unfreeze", dir], call);
  } catch (error) {
    // EINVAL: not frozen.
    if (error instanceof CommandError && error.stderr.includes("Invalid argument")) return;
    throw unavailable(`the file system at ${dir} could not be thawed; thaw it by: fsfreeze --unfreeze ${dir}`, error);
  }
}

const saidBusy = (error: unknown): boolean => error instanceof CommandError && /busy/i.test(error.stderr);
