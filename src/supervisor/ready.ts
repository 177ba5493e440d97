// Room: supervisor. Owns what a worker tells its supervisor, by lines on stdout: that it is ready, that it is alive, or why it ended.
import { writeSync } from "node:fs";
import { decodeFailure, encodeFailure, type SnapmillError } from "../domain/errors.ts";

const readyLine = "ready";
const refusedPrefix = "refused ";
const failedPrefix = "failed ";
const beatPrefix = "beat ";

const stdoutFd = 1;
const tell = (line: string): void => void writeSync(stdoutFd, `${line}\n`);

let isReady = false;

/** Worker's side: whether it has announced that it is ready. */
export const hasAnnouncedReady = (): boolean => isReady;

/** How often a worker that is ready announces that its event loop turns. */
const beatEveryMs = 2_000;

/**
 * Worker's side: everything is set up, work may come. From now on it announces every two seconds that its event loop
 * turns; `complaint` answers then with what is wrong, in words that follow its name ("cannot write to its database: ..."),
 * and undefined when all is well. Logs go to stderr, so that stdout carries this alone.
 */
export function announceReady(complaint: () => string | undefined = () => undefined): void {
  tell(readyLine);
  isReady = true;
  const beat = () => {
    try {
      tell(`${beatPrefix}${JSON.stringify(complaint() ?? "")}`);
    } catch {
      // The supervisor does not read at the moment; when it is gone, so is this process.
    }
  };
  setInterval(beat, beatEveryMs).unref();
}

/** Worker's side: it cannot work, and another start would not change that (a newer database, a foreign owner). */
export const announceRefusal = (error: unknown): void => tell(refusedPrefix + encodeFailure(error));

/** Worker's side: what ends it. Another start may help (Redis was away), but the reason is reported. */
export const announceFailure = (error: unknown): void => tell(failedPrefix + encodeFailure(error));

export type Announcement =
  | { readonly kind: "ready" }
  /** Its event loop turns. `complaint`: what is wrong all the same. */
  | { readonly kind: "beat"; readonly complaint: string | undefined }
  | { readonly kind: "refused" | "failed"; readonly error: SnapmillError }
  | { readonly kind: "chatter"; readonly text: string };

/** Supervisor's side: what a line of a worker's stdout means. */
export function parseAnnouncement(line: string): Announcement {
  if (line === readyLine) return { kind: "ready" };
  if (line.startsWith(refusedPrefix)) {
    return { kind: "refused", error: decodeFailure(line.slice(refusedPrefix.length)) };
  }
  if (line.startsWith(beatPrefix)) {
    const complaint: unknown = JSON.parse(line.slice(beatPrefix.length));
    return { kind: "beat", complaint: complaint === "" ? undefined : String(complaint) };
  }
  if (line.startsWith(failedPrefix)) return { kind: "failed", error: decodeFailure(line.slice(failedPrefix.length)) };
  return { kind: "chatter", text: line };
}
