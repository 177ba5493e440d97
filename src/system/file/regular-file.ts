// Room: system. Owns opening files that others may have put there: only a regular file is ever opened.
import { closeSync, fstat, open as openDescriptor, readlinkSync, type Stats } from "node:fs";
import { constants, type FileHandle, lstat, open } from "node:fs/promises";
import { promisify } from "node:util";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";

/** Linux's O_PATH and O_CLOEXEC, which node does not name: the former finds a file without opening it. */
const findOnly = 0o10000000;
const closeOnExec = 0o2000000;

export interface FilePlace {
  readonly path: string;
  /**
   * A directory, by a path without links, that `path` must not lead out of. For a directory of unknown origin: links in it
   * must not have a privileged process read, and describe, the rest of the host.
   */
  readonly within?: string | undefined;
}

/** A regular file that is open for reading. */
export interface RegularFile extends AsyncDisposable {
  readonly handle: FileHandle;
  /** At the time when it was opened. */
  readonly sizeBytes: number;
}

/**
 * Opens the regular file at `place`. It is first located with O_PATH, which has no effect on pipes and devices, checked by
 * its descriptor, and opened through it, so that nothing can be put in its place meanwhile.
 * Errors: failed_precondition for anything but a regular file, and for a link that leads out of `within`; otherwise those
 * of open(2), such as ENOENT.
 */
export async function openRegularFile(place: FilePlace): Promise<RegularFile> {
  using found = await findRegularFile(place);
  const handle = await open(found.path, constants.O_RDONLY | constants.O_NONBLOCK | closeOnExec);
  return { handle, sizeBytes: found.sizeBytes, [Symbol.asyncDispose]: () => handle.close() };
}

/** The size of the regular file at `place`; undefined when nothing is there. Errors: those of `openRegularFile`. */
export async function regularFileSize(place: FilePlace): Promise<number | undefined> {
  try {
    using found = await findRegularFile(place);
    return found.sizeBytes;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

interface FoundFile extends Disposable {
  /** Leads to the file itself, wherever it is moved. */
  readonly path: string;
  readonly sizeBytes: number;
}

const find = promisify(openDescriptor);
const statusOf = promisify(fstat);

/** The file, located but not opened. What asks no file system (its path, its end) is not sent to another thread. */
async function findRegularFile(place: FilePlace): Promise<FoundFile> {
  using cleanup = new DisposableStack();
  const descriptor = await findFile(place);
  cleanup.defer(() => closeSync(descriptor));
  const path = `/proc/self/fd/${descriptor}`;
  if (place.within !== undefined && !readlinkSync(path).startsWith(`${place.within.replace(/\/$/, "")}/`)) {
    throw leadsElsewhere(place.path, place.within);
  }
  const stats = await statusOf(descriptor);
  if (!stats.isFile()) throw failedPrecondition(`${place.path} is not a regular file: it is ${kindOf(stats)}`);
  const held = cleanup.move();
  return { path, sizeBytes: stats.size, [Symbol.dispose]: () => held.dispose() };
}

async function findFile({ path, within }: FilePlace): Promise<number> {
  try {
    return await find(path, findOnly | closeOnExec);
  } catch (error) {
    // The same message as for a link to an existing file: the link's author must not learn whether it exists.
    if (within !== undefined && (await isLink(path))) throw leadsElsewhere(path, within);
    throw error;
  }
}

const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  );

const leadsElsewhere = (path: string, within: string) =>
  failedPrecondition(
    `${path} is not a regular file of ${within} but a link that leads elsewhere; ` +
      "put the file itself there (cp -rL copies a directory so)",
  );

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return "a directory";
  if (stats.isFIFO()) return "a pipe";
  if (stats.isSocket()) return "a socket";
  return "a device";
}
