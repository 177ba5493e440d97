// Room: system. Owns mounts without a mount point, which exist as long as a descriptor and end with their process.
import { FFIType } from "bun:ffi";
import { closeSync } from "node:fs";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { checked, openLibc } from "../ffi/libc.ts";
import { configure, createSuperblock, openContext } from "./context.ts";

// It has this number on every architecture. It came with Linux 5.2; glibc has a wrapper since 2.36.
const fsmountCall = 432;
const { i32, i64_fast, u32 } = FFIType;
const mounter = openLibc({ syscall: { args: [i64_fast, i32, u32, u32], returns: i32 } });

// include/uapi/linux/mount.h
const closeOnExec = 1;
const attributes: Readonly<Record<string, number>> = {
  ro: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  noatime: 0x10,
  relatime: 0,
  rw: 0,
  nodiratime: 0x80,
};
/** Programs and devices in it cannot be used: an image's files are untrusted. */
const withoutTrust = ["nosuid", "nodev", "noexec"] as const;

export interface DetachedMountRequest {
  /** A block device's path. */
  readonly source: string;
  readonly fsType: string;
  /** As mount(8) takes them: `noatime`, `data=ordered`, ... */
  readonly options: readonly string[];
  readonly readOnly: boolean;
}

/** Disposing of it closes `fd`, and with the last descriptor below it the file system is unmounted. */
export interface DetachedMount extends Disposable {
  /** The file system's root, for the `*at` calls; it is open like with O_PATH. */
  readonly fd: number;
}

/**
 * Mounts without a mount point, always with nosuid, nodev and noexec. Blocks its thread while the file system is
 * mounted: for processes of their own.
 * Errors: SystemCallError with the messages of the kernel's file system; `failed_precondition` for a busy source.
 */
export function mountDetached(request: DetachedMountRequest): DetachedMount {
  const { source, fsType } = request;
  const options = [...request.options, ...(request.readOnly ? ["ro"] : [])];
  const context = openContext(fsType, source);
  try {
    configure(context, "source", source, source);
    for (const option of options) setOption(context, option, source);
    createSuperblock(context, source);
    const flags = [...options, ...withoutTrust].reduce((all, option) => all | (attributes[option] ?? 0), 0);
    const fd = mounter.syscall(fsmountCall, context, closeOnExec, flags);
    return borrowed(checked(fd, "fsmount", source));
  } catch (error) {
    if (isErrno(error, "EBUSY")) throw failedPrecondition(`${source} is already mounted or open elsewhere`, error);
    throw error;
  } finally {
    closeSync(context);
  }
}

function borrowed(fd: number): DetachedMount {
  let open = true;
  return {
    fd,
    [Symbol.dispose]: () => {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

/** `ro` and `rw` are for the file system itself too; the other attributes are for the mount alone. */
function setOption(context: number, option: string, source: string): void {
  if (option === "rw") return;
  if (option !== "ro" && attributes[option] !== undefined) return;
  const equals = option.indexOf("=");
  if (equals === -1) configure(context, option, undefined, source);
  else configure(context, option.slice(0, equals), option.slice(equals + 1), source);
}
