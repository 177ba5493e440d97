// Room: system. Owns making and growing the file systems on devices, and the options they are mounted with.
import { open } from "node:fs/promises";
import type { FsType } from "../../domain/devices.ts";
import { internal } from "../../domain/errors.ts";
import { type CommandOptions, runCommand } from "../process/commands.ts";

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
        ["-q", "-F", "-e", "remount-ro", ...(request.options ?? makingOptions("ext4", request.fresh)), devicePath],
        limits,
      );
      await finishExt4(devicePath, limits);
      return;
    case "xfs":
      await runCommand("mkfs.xfs", ["-q", "-f", ...(request.options ?? makingOptions("xfs")), devicePath], limits);
      return;
  }
}

/** The default arguments of mkfs. */
export function makingOptions(fsType: FsType, fresh = true): string[] {
  switch (fsType) {
    case "ext4":
      return ext4Options(fresh);
    case "xfs":
      return ["-K"];
  }
}

/**
 * An inode for each block, so that layers of small files run out of blocks first. By default a device of 10 GiB has a
 * quarter of that. Inode tables take 6.25 % of the device instead of 1.6 %, but are only written when they are used.
 */
const bytesPerInode = 4096;

function ext4Options(fresh: boolean): string[] {
  const extended = ["nodiscard", "lazy_itable_init=0", "lazy_journal_init=0", "root_owner=0:0"];
  // Without it mkfs writes zeroes over inode tables and journal: 229 MiB mapped per 10 GiB instead of 5 MiB.
  if (fresh) extended.push("assume_storage_prezeroed=1");
  return ["-b", "4096", "-i", String(bytesPerInode), "-E", extended.join(",")];
}

/**
 * Empties the root, and sets in the superblock that every mount, with any options, stops at the first failed write of
 * data: otherwise ext4 only logs it, and a snapshot that lost data to a full pool would look intact. By debugfs, not by a
 * mount: a process that is killed meanwhile leaves nothing behind.
 */
async function finishExt4(devicePath: string, limits: CommandOptions): Promise<void> {
  const requests = ["rmdir lost+found", "set_super_value mount_opts data_err=abort"];
  const input = `${requests.join("\n")}\n`;
  const { stderr } = await runCommand("debugfs", ["-w", "-f", "-", devicePath], { ...limits, input });
  // Its exit status is always 0; on success it prints only its version.
  const complaint = stderr.split("\n").filter((line) => line !== "" && !/^debugfs \d/.test(line));
  if (complaint.length > 0) throw internal(`debugfs could not finish ext4 on ${devicePath}: ${complaint.join("; ")}`);
}

/** Offsets in an ext4 superblock, which begins at byte 1024 (kernel documentation, "Super Block"). */
const superblock = { offset: 1024, magic: 0x38, magicValue: 0xef53, state: 0x3a, errorsSeen: 2 } as const;

/**
 * Whether the file system on the device has recorded that a write failed, which an fsync of the device no longer
 * tells after an unmount. Only ext4 records it; false for all else.
 */
export async function hasRecordedErrors(devicePath: string): Promise<boolean> {
  await using handle = await open(devicePath, "r");
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(1024), 0, 1024, superblock.offset);
  if (bytesRead < 1024 || buffer.readUInt16LE(superblock.magic) !== superblock.magicValue) return false;
  return (buffer.readUInt16LE(superblock.state) & superblock.errorsSeen) !== 0;
}

/** Whether `head`, the first 4 KiB of a device, is the beginning of such a file system. */
export function beginsFileSystem(head: Buffer, fsType: FsType): boolean {
  switch (fsType) {
    case "ext4": {
      const magicAt = superblock.offset + superblock.magic;
      return head.length >= magicAt + 2 && head.readUInt16LE(magicAt) === superblock.magicValue;
    }
    case "xfs":
      return head.subarray(0, 4).toString("latin1") === "XFSB";
  }
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
const growXfs = 'mount -t xfs -o nouuid,nosuid,nodev,noexec -- "$1" /tmp && xfs_growfs /tmp && umount /tmp';

/**
 * Options for mount(8): `ro` for views, and `rw` for all else, so that there is always one (`ctr snapshots mounts` prints
 * a bare `-o` otherwise); `nouuid` because XFS refuses to mount two devices with one UUID, and snapshots share theirs.
 */
export function mountOptions(fsType: FsType, readOnly: boolean): string[] {
  const access = readOnly ? "ro" : "rw";
  switch (fsType) {
    case "ext4":
      return [access];
    case "xfs":
      return [access, "nouuid"];
  }
}

/**
 * Options for writes that count only after a later `Driver.flush` (an unpack): a power cut may destroy them before, so no
 * write waits for the disk. An ext4 of one layer unmounts three times as fast.
 */
export function draftMountOptions(fsType: FsType): string[] {
  const draft = { ext4: ["nobarrier", "noatime"], xfs: ["noatime"] } as const;
  return [...mountOptions(fsType, false), ...draft[fsType]];
}
