// Room: system. Owns private directories and files: any user who could open a lock file could hold its lock.
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { isWritableByOthers, requireTrustedOwner, requireUnshared, sharedDirectory } from "./shared-paths.ts";

const othersRights = 0o077;
const privateMode = 0o700;
/** The mode of directories above a private one, which others may have to traverse. */
const passableMode = 0o755;

/** From here on, files of this process and its children are private unless they set a mode. */
export const keepFilesPrivate = (): void => void process.umask(othersRights);

/**
 * Makes sure that the directory `path` exists and is private: 0700, whatever the umask. Returns whether it was open to
 * others before and has been closed, with all its content; only then is `mayClose` called.
 *
 * Throws `failed_precondition` where other users could have put something there, or where `mayClose` refuses.
 */
export function makePrivateDirectory(path: string, mayClose: (path: string) => boolean): "closed" | "private" {
  makeParents(dirname(path));
  const isNew = makeDirectory(path, privateMode);
  const fd = openDirectory(path);
  try {
    const found = fstatSync(fd);
    requireTrustedOwner(path, found);
    if (isNew) fchmodSync(fd, privateMode);
    if (isNew || (found.mode & othersRights) === 0) return "private";
    if (isWritableByOthers(found)) throw sharedDirectory(path);
    if (!mayClose(path)) {
      throw failedPrecondition(
        `${path} is open to other users and holds other things than snapmill's: give snapmill a directory of its own, ` +
          "or chmod 700 it",
      );
    }
    fchmodSync(fd, found.mode & 0o7700);
    closeTree(path, found.dev);
    return "closed";
  } finally {
    closeSync(fd);
  }
}

function makeParents(path: string): void {
  requireUnshared(path);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === false) throw failedPrecondition(`${path} is not a directory`);
  if (found !== undefined) return;
  makeParents(dirname(path));
  makeDirectory(path, passableMode);
}

/** False when it existed. */
function makeDirectory(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    if (isErrno(error, "EACCES", "EPERM")) {
      const wayOut = "run this as root, or name a place of this user's own (--state-dir, SNAPMILL_RUN_DIR)";
      throw failedPrecondition(
        `${path} cannot be made by this user (${String(process.geteuid?.())}): ${wayOut}`,
        error,
      );
    }
    throw error;
  }
}

function openDirectory(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (isErrno(error, "ELOOP", "ENOTDIR")) {
      throw failedPrecondition(`${path} is a link or not a directory: name the directory itself`, error);
    }
    if (isErrno(error, "EACCES")) throw failedPrecondition(`${path} is not open to this user: run this as its owner`);
    throw error;
  }
}

/** Removes the rights of others below `directory`, which they can no longer enter; mounts are left alone. */
function closeTree(directory: string, device: number): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.dev !== device || found.isSymbolicLink()) continue;
    if ((found.mode & othersRights) !== 0) chmodSync(path, found.mode & 0o7700);
    if (found.isDirectory()) closeTree(path, device);
  }
}
