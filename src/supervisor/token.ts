// Room: supervisor. Owns the token that opens the dashboard: made once, kept in a file that only its owner can read.
import { failedPrecondition } from "../domain/errors.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { readOwnFile, writeOwnFile } from "../system/file/own-files.ts";

const tokenBytes = 24;
const minTokenCharacters = 16;
const maxTokenCharacters = 1024;

/**
 * The token in the file at `path`; a new one is made when there is none, or an empty file. Throws `failed_precondition`
 * for a file that others can read or write, for one of another user, and for what is no file.
 */
export function readOrMakeToken(path: string): string {
  const kept = keptToken(path);
  if (kept === "") return makeToken(path);
  if (kept.length < minTokenCharacters) {
    throw failedPrecondition(`the token in ${path} is too short: delete the file to have a new one made`);
  }
  if (kept.length > maxTokenCharacters || !/^[\x21-\x7e]+$/.test(kept)) {
    throw failedPrecondition(`${path} holds no token, one word of at most ${maxTokenCharacters} characters: delete it`);
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

function makeToken(path: string): string {
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(tokenBytes))).toString("base64url");
  writeOwnFile(path, `${token}\n`);
  return token;
}
