// Room: supervisor. Owns the dashboard's token: made once, and kept in a file that only its owner can read.
import { failedPrecondition } from "../domain/errors.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { readOwnFile, writeOwnFile } from "../system/file/own-files.ts";

const tokenBytes = 24;
const minTokenCharacters = 16;
const maxTokenCharacters = 1024;

/**
 * The token in the file at `path`. Makes a new one if the file is missing or empty. Throws `failed_precondition` if
 * other users can read or write the file, if another user owns it, or if it is not a regular file.
 */
export function readOrMakeToken(path: string): string {
  return readToken(path) ?? replaceToken(path);
}

/** The same without making one; undefined: there is none. */
export function readToken(path: string): string | undefined {
  const kept = keptToken(path);
  if (kept === "") return undefined;
  if (kept.length < minTokenCharacters) {
    throw failedPrecondition(`the token in ${path} is too short: delete the file to have a new one made`);
  }
  if (kept.length > maxTokenCharacters || !/^[\x21-\x7e]+$/.test(kept)) {
    throw failedPrecondition(
      `${path} does not hold a token (one word of at most ${maxTokenCharacters} characters): delete it`,
    );
  }
  return kept;
}

function keptToken(path: string): string {
  try {
    return readOwnFile(path, { readableByOthers: "refused" }).trim();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw error;
  }
}

/** Writes a new token into the file and returns it; the one that was there is good no more. */
export function replaceToken(path: string): string {
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(tokenBytes))).toString("base64url");
  writeOwnFile(path, `${token}\n`);
  return token;
}
