// Room: system. Owns making and growing the file systems on devices, and the options they are mounted with.
import type { FsType } from "../domain/devices.ts";
import { type CommandOptions, runCommand } from "./commands.ts";

export interface FileSystemRequest {
  readonly devicePath: string;
  readonly fsType: FsType;
  /** The device reads as zeroes everywhere: nothing needs to be zeroed, which keeps a thin device thin. */
  readonly fresh: boolean;
  /** Arguments of mkfs in place of ours. */
  readonly options?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Large devices on slow disks: mkfs of 20 GB took 9 s on cloud volumes. */
const timeoutMs = 10 * 60_000;

/**
 * Makes a file system over whatever was on the device: its root is empty (no lost+found), 0755 root:root.
 * Nothing is mounted for it. Errors: those of runCommand.
 */
export async function makeFileSystem(request: FileSystemRequest): Promise<void> {
  const { devicePath, fsType, signal } = request;
  const limits = { timeoutMs, signal };
  switch (fsType) {
    case "ext4":
      await runCommand(
        "mkfs.ext4",
        ["-q", "-F", ...(request.options ?? ext4Options(request.fresh)), devicePath],
        limits,
      );
      await removeLostAndFound(devicePath, limits);
      return;
    case "xfs":
      await runCommand("mkfs.xfs", ["-q", "-f", ...(request.options ?? ["-K"]), devicePath], limits);
      return;
  }
}

function ext4Options(fresh: boolean): string[] {
  const extended = ["nodiscard", "lazy_itable_init=0", "lazy_journal_init=0", "root_owner=0:0"];
  // Without it mkfs writes zeroes over inode tables and journal: 229 MiB mapped per 10 GiB instead of 5 MiB.
  if (fresh) extended.push("assume_storage_prezeroed=1");
  return ["-E", extended.join(",")];
}

/** By debugfs and not by a mount: a process that is killed meanwhile leaves nothing behind. */
async function removeLostAndFound(devicePath: string, limits: CommandOptions): Promise<void> {
  await runCommand("debugfs", ["-w", "-R", "rmdir lost+found", devicePath], limits);
}

/** Grows the file system on an unmounted device to the device's size. */
export async function growFileSystem(devicePath: string, fsType: FsType, signal?: AbortSignal): Promise<void> {
  const limits = { timeoutMs, signal };
  switch (fsType) {
    case "ext4":
      // resize2fs insists on a check of what was mounted before; exit status 1: repaired, a journal replayed.
      await runCommand("e2fsck", ["-f", "-p", devicePath], { ...limits, successCodes: [0, 1] });
      await runCommand("resize2fs", [devicePath], limits);
      return;
    case "xfs":
      await runCommand(
        "unshare",
        ["--mount", "--propagation", "private", "--", "sh", "-ec", growXfs, "sh", devicePath],
        limits,
      );
      return;
  }
}

/** XFS grows only while mounted: over /tmp, but in a mount namespace of its own that goes with its last process. */
const growXfs = 'mount -t xfs -o nouuid -- "$1" /tmp && xfs_growfs /tmp && umount /tmp';

/**
 * Options for mount(2): `ro` for views; `nouuid` because XFS refuses to mount two devices with one UUID, and
 * snapshots share theirs.
 */
export function mountOptions(fsType: FsType, readOnly: boolean): string[] {
  const access = readOnly ? ["ro"] : [];
  switch (fsType) {
    case "ext4":
      return access;
    case "xfs":
      return [...access, "nouuid"];
  }
}
