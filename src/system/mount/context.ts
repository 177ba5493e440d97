// Room: system. Owns file system contexts (fsopen and fspick): what a superblock is to be, an option at a time.
import { FFIType, ptr } from "bun:ffi";
import { readSync } from "node:fs";
import { checked, cString, openLibc } from "../ffi/libc.ts";

// The calls have these numbers on every architecture. They came with Linux 5.2; glibc has wrappers since 2.36.
const callNumbers = { fsopen: 430, fsconfig: 431, fspick: 433 } as const;
const { i32, i64_fast, u32 } = FFIType;
const opener = openLibc({ syscall: { args: [i64_fast, FFIType.ptr, u32], returns: i32 } });
const picker = openLibc({ syscall: { args: [i64_fast, i32, FFIType.ptr, u32], returns: i32 } });
const configurer = openLibc({
  syscall: { args: [i64_fast, i32, u32, FFIType.ptr, FFIType.ptr, i32], returns: i32 },
});

// include/uapi/linux/mount.h
const closeOnExec = 1;
const emptyPath = 8;
const commands = { setFlag: 0, setString: 1, create: 6, reconfigure: 7 } as const;

/** A context for a new superblock; the caller closes it. `subject` is for errors. */
export function openContext(fsType: string, subject: string): number {
  const name = cString(fsType);
  return checked(opener.syscall(callNumbers.fsopen, ptr(name), closeOnExec), `fsopen ${fsType} for`, subject);
}

/** A context for the superblock that is mounted at `root`, the descriptor of a mount's root; the caller closes it. */
export function pickContext(root: number, subject: string): number {
  const path = cString("");
  return checked(picker.syscall(callNumbers.fspick, root, ptr(path), closeOnExec | emptyPath), "fspick", subject);
}

/** Sets one option: a flag, or with `value` a text. */
export const configure = (context: number, key: string, value: string | undefined, subject: string): void =>
  command(context, value === undefined ? commands.setFlag : commands.setString, { key, value, subject });

export const createSuperblock = (context: number, subject: string): void =>
  command(context, commands.create, { subject });

export const reconfigureSuperblock = (context: number, subject: string): void =>
  command(context, commands.reconfigure, { subject });

interface Argument {
  readonly key?: string;
  readonly value?: string | undefined;
  readonly subject: string;
}

/** A failure has the file system's own words in its message. */
function command(context: number, number: number, { key, value, subject }: Argument): void {
  const keyText = key === undefined ? null : cString(key);
  const valueText = value === undefined ? null : cString(value);
  const pointer = (text: Buffer | null) => (text === null ? null : ptr(text));
  const result = configurer.syscall(callNumbers.fsconfig, context, number, pointer(keyText), pointer(valueText), 0);
  try {
    checked(result, "mount", key === undefined ? subject : `${subject} with ${key}`);
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
