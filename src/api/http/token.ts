// Room: api. Owns the token that opens the dashboard: made once, kept in a file that only its owner can read.
import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from "node:fs";
import { failedPrecondition } from "../../domain/errors.ts";

const tokenBytes = 24;
const minTokenCharacters = 16;

/** The token in the file at `path`; a new one is made when there is none. Refuses a file that others can read. */
export function readOrMakeToken(path: string): string {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    if ((fstatSync(fd).mode & 0o077) !== 0) {
      throw failedPrecondition(`${path} can be read by others: chmod 600 it, or delete it to have a new token made`);
    }
    const kept = readFileSync(fd, "utf8").trim();
    if (kept.length >= minTokenCharacters) return kept;
    if (kept !== "") {
      throw failedPrecondition(`the token in ${path} is too short: delete the file to have a new one made`);
    }
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(tokenBytes))).toString("base64url");
    writeSync(fd, `${token}\n`);
    return token;
  } finally {
    closeSync(fd);
  }
}
