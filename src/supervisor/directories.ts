// Room: supervisor. Owns that a snapmill's directories are its user's alone: other users could hold its locks, or worse.
import { accessSync, constants, readdirSync } from "node:fs";
import type { Config } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { makePrivateDirectory } from "../system/file/private-directories.ts";
import { requireUnshared } from "../system/file/shared-paths.ts";

/** One of these, or nothing at all, lies in a state directory. */
const landmarks = ["pools", "redis", "up.lock", "http-token"];

/**
 * Makes the state directory, or closes an existing one to other users; `onNotice` hears of that. Throws
 * `failed_precondition` where another user could have put something there, and for a directory of other things.
 */
export const prepareStateDirectory = ({ stateDir }: Config, onNotice: (sentence: string) => void): void =>
  prepare(stateDir, isStateDirectory, onNotice);

/** The same for the run directory, which is snapmill's alone by its name. */
export const prepareRunDirectory = ({ runDir }: Config, onNotice: (sentence: string) => void): void =>
  prepare(runDir, () => true, onNotice);

function prepare(path: string, mayClose: (path: string) => boolean, onNotice: (sentence: string) => void): void {
  if (makePrivateDirectory(path, mayClose) === "private") return;
  onNotice(`${path} was open to other users of this host; it is closed to them now, with all that is in it`);
}

function isStateDirectory(path: string): boolean {
  const names = readdirSync(path);
  return names.length === 0 || names.some((name) => landmarks.includes(name));
}

/**
 * For who only reads, or talks to what runs: changes nothing. Throws `failed_precondition` where another user could have
 * put something there, and where this user has no business.
 */
export function requireOwnPlace({ stateDir, runDir }: Config): void {
  requireUnshared(stateDir);
  requireUnshared(runDir);
  try {
    accessSync(stateDir, constants.R_OK | constants.X_OK);
  } catch (error) {
    if (!isErrno(error, "EACCES")) return;
    throw failedPrecondition(
      `${stateDir} is closed to this user (${String(process.geteuid?.())}): run this as its owner`,
      error,
    );
  }
}
