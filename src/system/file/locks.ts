// Room: system. Owns locks between processes: flock(2) on a file, which the kernel releases when its holder dies.
import { FFIType } from "bun:ffi";
import { closeSync, fstatSync, ftruncateSync, mkdirSync, readFileSync, statSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { aborted, failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { checked, openLibc } from "../ffi/libc.ts";
import { isDying } from "../process/process-facts.ts";
import { openOwnFile } from "./own-files.ts";

const libc = openLibc({ flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } });
const exclusive = 2;
const nonBlocking = 4;

/** A held lock. Disposing of it deletes the file and releases the lock. */
export interface Lock extends Disposable {
  readonly path: string;
  /** Releases the lock without deleting the file, which would never return where the file system does not answer. */
  leaveFile(): void;
}

export interface Held {
  /** What the holder wrote into the file; empty when it had no time to. */
  readonly heldBy: string;
}

/**
 * Takes the lock at `path` (its directory is made) if it is free, and writes `contents`, a line about the holder, into the
 * file. Only its user can open it, because every process that opens it could hold the lock. Children do not inherit the
 * lock: the descriptor closes on exec.
 */
export function tryLock(path: string, contents: string): Lock | Held {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  for (;;) {
    const fd = openLockFile(path);
    let kept = false;
    try {
      if (!lockNow(fd, path)) return { heldBy: readFileSync(fd, "utf8").trim() };
      // The last holder may have deleted the file between our open and our lock, which then excludes no process.
      if (!isStillAt(fd, path)) continue;
      writeHolder(fd, path, contents);
      kept = true;
      return heldLock(fd, path);
    } finally {
      if (!kept) closeSync(fd);
    }
  }
}

const deathMs = 10_000;
const deathPollMs = 20;

/**
 * The same, but it waits for a holder that is being killed: the kernel releases the lock a moment later, or when the
 * process no longer waits in the kernel. `contents` and the holder's are JSON with a `pid`.
 */
export async function tryLockAfterDeath(path: string, contents: string): Promise<Lock | Held> {
  const untilMs = performance.now() + deathMs;
  for (;;) {
    const outcome = tryLock(path, contents);
    if (isLock(outcome) || !isHeldByDying(outcome) || performance.now() > untilMs) return outcome;
    await delay(deathPollMs);
  }
}

function isHeldByDying({ heldBy }: Held): boolean {
  const [, pid] = /"pid":(\d+)/.exec(heldBy) ?? [];
  return pid !== undefined && isDying(Number(pid));
}

function openLockFile(path: string): number {
  try {
    return openOwnFile(path, { create: true, write: true, readableByOthers: "closed" });
  } catch (error) {
    if (isErrno(error, "EROFS")) {
      throw failedPrecondition(
        `${path} is on a file system that is read-only: mount it writable, or use another`,
        error,
      );
    }
    if (isErrno(error, "ENOSPC")) throw diskFull(path, error);
    throw error;
  }
}

function writeHolder(fd: number, path: string, contents: string): void {
  try {
    ftruncateSync(fd, 0);
    writeSync(fd, `${contents}\n`, 0);
  } catch (error) {
    if (isErrno(error, "ENOSPC", "EDQUOT")) throw diskFull(path, error);
    throw error;
  }
}

const diskFull = (path: string, error: unknown) =>
  failedPrecondition(`${path} cannot be written: its disk has no room left, not even for this; make some there`, error);

function lockNow(fd: number, path: string): boolean {
  try {
    checked(libc.flock(fd, exclusive | nonBlocking), "flock", path);
    return true;
  } catch (error) {
    if (isErrno(error, "EAGAIN", "EWOULDBLOCK")) return false;
    throw error;
  }
}

function isStillAt(fd: number, path: string): boolean {
  const named = statSync(path, { throwIfNoEntry: false, bigint: true });
  const opened = fstatSync(fd, { bigint: true });
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
}

function heldLock(fd: number, path: string): Lock {
  let held = true;
  return {
    path,
    leaveFile: () => {
      if (held) closeSync(fd);
      held = false;
    },
    [Symbol.dispose]: () => {
      if (!held) return;
      held = false;
      // While the lock is held: otherwise another process could have locked the file that is deleted.
      if (isStillAt(fd, path)) unlinkSync(path);
      closeSync(fd);
    },
  };
}

export const isLock = (outcome: Lock | Held): outcome is Lock => Symbol.dispose in outcome;

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly pollMs?: number;
  /** The line about this holder; default: its process ID. */
  readonly contents?: string;
}

/** Waits for the lock, with the event loop free. `aborted` when `signal` ends the wait, naming the holder. */
export async function acquireLock(path: string, options: WaitOptions = {}): Promise<Lock> {
  const { signal, pollMs = 50, contents = JSON.stringify({ pid: process.pid }) } = options;
  for (;;) {
    const outcome = tryLock(path, contents);
    if (isLock(outcome)) return outcome;
    try {
      await delay(pollMs, undefined, { signal });
    } catch (error) {
      throw aborted(`gave up waiting for ${path}, held by ${outcome.heldBy}`, error);
    }
  }
}
