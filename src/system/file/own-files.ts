// Room: system. Owns opening files that another user of the host could have put there: they are checked once open.
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { isTrusted, isWritableByOthers } from "./shared-paths.ts";

export interface OwnFileOptions {
  /** Makes it, 0600, when there is none. */
  readonly create?: boolean;
  readonly write?: boolean;
  /** For a file that others can read: it is refused (a secret), made private, or left as it is. */
  readonly readableByOthers: "refused" | "closed" | "allowed";
}

/**
 * Opens the regular file at `path`, which must belong to root or to this process's user, with no right to write for
 * others. Never waits (for the other end of a FIFO), and follows no link. Errors: those of open(2), such as ENOENT;
 * `failed_precondition` for anything else, or a file of another user.
 */
export function openOwnFile(path: string, { create = false, write = false, readableByOthers }: OwnFileOptions): number {
  const access = write ? constants.O_RDWR : constants.O_RDONLY;
  const flags = access | constants.O_NONBLOCK | constants.O_NOFOLLOW | (create ? constants.O_CREAT : 0);
  const fd = opened(path, flags);
  try {
    const found = fstatSync(fd);
    requireOwn(path, found);
    if ((found.mode & 0o077) === 0 || readableByOthers === "allowed") return fd;
    if (readableByOthers === "refused") {
      throw failedPrecondition(`${path} can be read by others: chmod 600 it, or delete it to have a new one made`);
    }
    fchmodSync(fd, 0o600);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The text of such a file. */
export function readOwnFile(path: string, options: Pick<OwnFileOptions, "readableByOthers">): string {
  const fd = openOwnFile(path, options);
  try {
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

/** Makes or replaces the file at `path`, 0600, with this content, atomically. */
export function writeOwnFile(path: string, content: string): void {
  const unfinished = `${path}.new`;
  rmSync(unfinished, { force: true });
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(unfinished, flags, 0o600);
  try {
    fchmodSync(fd, 0o600);
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(unfinished, path);
  syncDirectoryOf(path);
}

/** Without it, a power cut may bring the old file back: a token that was revoked would be good again. */
function syncDirectoryOf(path: string): void {
  const fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function opened(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    // ENXIO: a socket, or a FIFO without its other end.
    if (isErrno(error, "ELOOP", "ENXIO", "EISDIR")) throw notAFile(path, error);
    throw error;
  }
}

function requireOwn(path: string, found: Stats): void {
  if (!found.isFile()) throw notAFile(path);
  if (!isTrusted(found.uid)) throw failedPrecondition(`${path} belongs to user ${found.uid}: delete it`);
  if (found.nlink > 1) throw failedPrecondition(`${path} has other names (hard links): delete it`);
  if (isWritableByOthers(found)) throw failedPrecondition(`${path} can be written to by others: delete it`);
}

const notAFile = (path: string, cause?: unknown) =>
  failedPrecondition(`${path} is not a regular file: delete it, or use another place`, cause);
