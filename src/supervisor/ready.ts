// Room: supervisor. Owns what a worker tells its supervisor: one line on stdout, that it is ready or why it never will be.
import { writeSync } from "node:fs";
import { decodeFailure, encodeFailure, type SnapmillError } from "../domain/errors.ts";

const readyLine = "ready";
const refusedPrefix = "refused ";

const stdoutFd = 1;
const tell = (line: string): void => void writeSync(stdoutFd, `${line}\n`);

/** Worker's side: everything is set up, work may come. Logs go to stderr, so that stdout carries this alone. */
export const announceReady = (): void => tell(readyLine);

/** Worker's side: it cannot work, and another start would not change that (a newer database, a foreign owner). */
export const announceRefusal = (error: unknown): void => tell(refusedPrefix + encodeFailure(error));

export type Announcement =
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly error: SnapmillError }
  | { readonly kind: "chatter"; readonly text: string };

/** Supervisor's side: what a line of a worker's stdout means. */
export function parseAnnouncement(line: string): Announcement {
  if (line === readyLine) return { kind: "ready" };
  if (!line.startsWith(refusedPrefix)) return { kind: "chatter", text: line };
  return { kind: "refused", error: decodeFailure(line.slice(refusedPrefix.length)) };
}
