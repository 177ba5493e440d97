// Room: supervisor. Owns the privacy of the state and run directories: other users could hold locks in them, or worse.
import { accessSync, constants, readdirSync } from "node:fs";
import type { Config } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { makePrivateDirectory } from "../system/file/private-directories.ts";
import { requireUnshared } from "../system/file/shared-paths.ts";

/** A state directory is empty or contains at least one of these. */
const landmarks = ["pools", "redis", "up.lock", "http-token", "tokens.json"];

/**
 * Creates the state directory, or closes an existing one to other users and reports that to `onNotice`. Throws
 * `failed_precondition` if another user could have put something there, or if the directory holds something else.
 */
export const prepareStateDirectory = ({ stateDir }: Config, onNotice: (sentence: string) => void): void =>
  prepare(stateDir, isStateDirectory, onNotice);

/** The same for the run directory, which belongs to snapmill by its name. */
export const prepareRunDirectory = ({ runDir }: Config, onNotice: (sentence: string) => void): void =>
  prepare(runDir, () => true, onNotice);

function prepare(path: string, mayClose: (path: string) => boolean, onNotice: (sentence: string) => void): void {
  if (makePrivateDirectory(path, mayClose) === "private") return;
  onNotice(`${path} was open to other users of this host; it and everything in it are now closed to them`);
}

function isStateDirectory(path: string): boolean {
  const names = readdirSync(path);
  return names.length === 0 || names.some((name) => landmarks.includes(name));
}

/**
 * For callers that only read, or that talk to a running snapmill; changes nothing. Throws `failed_precondition` if
 * another user could have put something there, or if this user has no access.
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
