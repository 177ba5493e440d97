// Room: system. Owns mounts without a mount point, which exist as long as a descriptor and end with their process.
import { FFIType, ptr } from "bun:ffi";
import { closeSync, readSync } from "node:fs";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { checked, cString, openLibc } from "../ffi/libc.ts";

// The three calls have these numbers on every architecture. They came with Linux 5.2; glibc has wrappers since 2.36.
const callNumbers = { fsopen: 430, fsconfig: 431, fsmount: 432 } as const;
const { i32, i64_fast, u32 } = FFIType;
const opener = openLibc({ syscall: { args: [i64_fast, FFIType.ptr, u32], returns: i32 } });
const configurer = openLibc({
  syscall: { args: [i64_fast, i32, u32, FFIType.ptr, FFIType.ptr, i32], returns: i32 },
});
const mounter = openLibc({ syscall: { args: [i64_fast, i32, u32, u32], returns: i32 } });

// include/uapi/linux/mount.h
const closeOnExec = 1;
const commands = { setFlag: 0, setString: 1, create: 6 } as const;
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
    configure(context, commands.setString, "source", source, source);
    for (const option of options) setOption(context, option, source);
    configure(context, commands.create, undefined, undefined, source);
    const flags = [...options, ...withoutTrust].reduce((all, option) => all | (attributes[option] ?? 0), 0);
    const fd = mounter.syscall(callNumbers.fsmount, context, closeOnExec, flags);
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

function openContext(fsType: string, source: string): number {
  const name = cString(fsType);
  return checked(opener.syscall(callNumbers.fsopen, ptr(name), closeOnExec), `fsopen ${fsType} for`, source);
}

/** `ro` and `rw` are for the file system itself too; the other attributes are for the mount alone. */
function setOption(context: number, option: string, source: string): void {
  if (option === "rw") return;
  if (option !== "ro" && attributes[option] !== undefined) return;
  const equals = option.indexOf("=");
  if (equals === -1) configure(context, commands.setFlag, option, undefined, source);
  else configure(context, commands.setString, option.slice(0, equals), option.slice(equals + 1), source);
}

function configure(
  context: number,
  command: number,
  key: string | undefined,
  value: string | undefined,
  source: string,
) {
  const keyText = key === undefined ? null : cString(key);
  const valueText = value === undefined ? null : cString(value);
  const pointer = (text: Buffer | null) => (text === null ? null : ptr(text));
  const result = configurer.syscall(callNumbers.fsconfig, context, command, pointer(keyText), pointer(valueText), 0);
  try {
    checked(result, "mount", key === undefined ? source : `${source} with ${key}`);
  } catch (error) {
    const said = readLog(context);
    if (error instanceof Error && said !== "") error.message += ` (${said})`;
    throw error;
  }
}

/** The file system's messages: the context's descriptor returns one for each read, "e ext4: ..." for an error. */
function readLog(context: number): string {
  const messages: string[] = [];
  const line = Buffer.alloc(1024);
  try {
    for (let count = 0; count < 16; count++) {
      const length = readSync(context, line);
      if (length === 0) break;
      messages.push(line.toString("utf8", 2, length).trim());
    }
  } catch {
    // ENODATA: no more messages.
  }
  return messages.join("; ");
}
