// Room: supervisor. Owns the lines on stdout by which a worker tells its supervisor that it is ready, alive, what it has
// observed, or why it ends.
import { writeSync } from "node:fs";
import { decodeFailure, encodeFailure, type SnapmillError } from "../domain/errors.ts";
import { encodeSeries, observed, parseSeries, type Series } from "../domain/tally.ts";

const readyLine = "ready";
const refusedPrefix = "refused ";
const failedPrefix = "failed ";
const beatPrefix = "beat ";
const seenPrefix = "seen ";

const stdoutFd = 1;
const tell = (line: string): void => void writeSync(stdoutFd, `${line}\n`);

let isReady = false;

/** Worker's side: whether this process has announced that it is ready. */
export const hasAnnouncedReady = (): boolean => isReady;

/** The interval between a ready worker's heartbeats. */
const beatEveryMs = 2_000;

/**
 * Worker's side: announces that it is ready for work. From now on its event loop sends a heartbeat every two seconds.
 * Each carries what `complaint` returns: what is wrong, as a predicate for the worker's name ("cannot write to its
 * database: ..."), or undefined if all is well. What it has observed follows, then and when the process exits: killed, it
 * takes the last two seconds with it. Logs go to stderr; stdout carries nothing else.
 */
export function announceReady(complaint: () => string | undefined = () => undefined): void {
  tell(readyLine);
  isReady = true;
  const beat = () => {
    try {
      tell(`${beatPrefix}${JSON.stringify(complaint() ?? "")}`);
      tellObserved();
    } catch {
      // The supervisor does not read at the moment. If it has died, this process dies, too.
    }
  };
  setInterval(beat, beatEveryMs).unref();
  process.on("exit", () => {
    try {
      tellObserved();
    } catch {
      // As above.
    }
  });
}

/** Each series is a line of its own, shorter than a pipe's atomic write (4,096 bytes): it arrives whole or not at all. */
const tellObserved = (): void => observed.tellChanges((series) => tell(seenPrefix + encodeSeries(series)));

/** Worker's side: it cannot work, and a restart would not help (a newer database, another owner). */
export const announceRefusal = (error: unknown): void => tell(refusedPrefix + encodeFailure(error));

/** Worker's side: the error that ends it. A restart may help (Redis was away), but the reason is reported. */
export const announceFailure = (error: unknown): void => tell(failedPrefix + encodeFailure(error));

export type Announcement =
  | { readonly kind: "ready" }
  /** A heartbeat. `complaint`: what is wrong although the event loop runs. */
  | { readonly kind: "beat"; readonly complaint: string | undefined }
  /** What a series has come to since the process started. */
  | { readonly kind: "seen"; readonly series: Series }
  | { readonly kind: "refused" | "failed"; readonly error: SnapmillError }
  | { readonly kind: "chatter"; readonly text: string };

/** Supervisor's side: the meaning of a line on a worker's stdout. */
export function parseAnnouncement(line: string): Announcement {
  if (line === readyLine) return { kind: "ready" };
  if (line.startsWith(refusedPrefix)) {
    return { kind: "refused", error: decodeFailure(line.slice(refusedPrefix.length)) };
  }
  if (line.startsWith(beatPrefix)) {
    const complaint: unknown = JSON.parse(line.slice(beatPrefix.length));
    return { kind: "beat", complaint: complaint === "" ? undefined : String(complaint) };
  }
  if (line.startsWith(seenPrefix)) return seen(line);
  if (line.startsWith(failedPrefix)) return { kind: "failed", error: decodeFailure(line.slice(failedPrefix.length)) };
  return chatterOf(line);
}

/** The prefix of redis-server's log lines: process, role, time, level. */
const redisPrefix = /^\d+:\S+ (?:\d+ \w+ \d+ [\d:.]+|\(\d+\) ?)? ?[-.*#] ?/;

/** What a child says that announces nothing, for people; redis-server never does. */
export const chatterOf = (line: string) => ({ kind: "chatter", text: line.replace(redisPrefix, "").trim() }) as const;

function seen(line: string): Announcement {
  try {
    const series = parseSeries(JSON.parse(line.slice(seenPrefix.length)));
    if (series !== undefined) return { kind: "seen", series };
  } catch {
    // It is not JSON: falls through.
  }
  return chatterOf(line);
}

/** A child died before it was ready, or was too slow: a restart may help. */
export class NotYet extends Error {
  override readonly name = "NotYet";
}
