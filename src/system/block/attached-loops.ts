// Room: system. Owns the list of attached loop devices and their files, read from sysfs without opening a device.
import { readdir, readFile } from "node:fs/promises";
import { isErrno } from "../ffi/errno.ts";

export interface LoopEntry {
  /** `/dev/loopN` */
  readonly path: string;
  /** Absolute, with symbolic links resolved: as the kernel knows it. */
  readonly backingFile: string;
  /** The file was deleted; it exists as long as it is attached. */
  readonly deleted: boolean;
}

const deletedMark = " (deleted)";

/** A line of `/sys/block/loopN/loop/backing_file`. A file can really be named "x (deleted)": the caller must check. */
export function parseBackingFile(line: string): { readonly backingFile: string; readonly deleted: boolean } {
  const text = line.endsWith("\n") ? line.slice(0, -1) : line;
  const deleted = text.endsWith(deletedMark);
  return { backingFile: deleted ? text.slice(0, -deletedMark.length) : text, deleted };
}

/** Every loop device of the machine that has a file, in no order. */
export async function listLoops(): Promise<LoopEntry[]> {
  const names = (await readdir("/sys/block")).filter((name) => /^loop\d+$/.test(name));
  const entries = await Promise.all(names.map((name) => readLoop(name)));
  return entries.filter((entry) => entry !== undefined);
}

async function readLoop(name: string): Promise<LoopEntry | undefined> {
  try {
    const line = await readFile(`/sys/block/${name}/loop/backing_file`, "utf8");
    return { path: `/dev/${name}`, ...parseBackingFile(line) };
  } catch (error) {
    // No file attached, or detached since the listing.
    if (isErrno(error, "ENOENT", "ENXIO", "ENODEV", "EIO")) return undefined;
    throw error;
  }
}

/** Every loop device that `file` (an absolute path without symbolic links) is attached to. */
export async function findLoops(file: string): Promise<LoopEntry[]> {
  return (await listLoops()).filter((entry) => entry.backingFile === file);
}

/** What is attached to the loop device at `path` (`/dev/loopN`); undefined when nothing is. */
export const loopAt = (path: string): Promise<LoopEntry | undefined> => readLoop(path.slice("/dev/".length));

/** `major:minor` of the loop device at `path`, as mountinfo writes it. */
export const loopDeviceNumber = async (path: string): Promise<string> =>
  (await readFile(`/sys/block/${path.slice("/dev/".length)}/dev`, "utf8")).trim();
