// Room: config. Owns the file of settings: where it is, and who may have written it.
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { isErrno } from "../system/ffi/errno.ts";
import { isWritableByOthers, requireUnshared } from "../system/file/shared-paths.ts";
import { broken, type SettingsFile, settingsIn } from "./settings-text.ts";

export const defaultConfigFile = "/etc/snapmill/config.toml";

const mostBytes = 2 ** 20;

/** `named`: the file that a flag or variable names; "" for none; undefined for the usual one, if it is there. */
export function readSettingsFile(named: string | undefined): SettingsFile | undefined {
  if (named === "") return undefined;
  const path = resolve(named ?? defaultConfigFile);
  try {
    const text = contentOf(path);
    if (text === undefined) return named === undefined ? undefined : broken(path, `${path}: there is no such file`);
    return settingsIn(path, text);
  } catch (error) {
    return broken(path, error instanceof Error ? error.message : String(error));
  }
}

/** Throws a sentence that names the path. Undefined: there is no such file. */
function contentOf(path: string): string | undefined {
  requireUnshared(path);
  let descriptor: number;
  try {
    // Without O_NONBLOCK, a pipe in its place would block this process for ever.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    if (isErrno(error, "EACCES")) throw new Error(`${path}: this user may not read it: run this as its owner`);
    throw error;
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Error(`${path}: is not a regular file`);
    if (isWritableByOthers(stats)) throw new Error(`${path}: other users can write to it: chmod go-w ${path}`);
    if (stats.size > mostBytes) throw new Error(`${path}: has more than 1 MiB: it is not a file of settings`);
    return decoded(path, readFileSync(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

function decoded(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`${path}: is not UTF-8 text`);
  }
}
