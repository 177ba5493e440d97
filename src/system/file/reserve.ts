// Room: system. Owns a reserve of room on a file system: files that are deleted when everything else is used up.
import { FFIType } from "bun:ffi";
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { isErrno } from "../ffi/errno.ts";
import { openLibc } from "../ffi/libc.ts";

const libc = openLibc({
  posix_fallocate: { args: [FFIType.i32, FFIType.i64, FFIType.i64], returns: FFIType.i32 },
});

const mebibyte = 2 ** 20;
/** Several files, not one: inodes can be used up as well as blocks. */
const files = 16;
const fileBytes = mebibyte;
export const reserveBytes = files * fileBytes;

/** Below this the disk counts as full: SQLite and Redis need some of it to end what they have begun. */
const fullBelowBytes = 8 * mebibyte;
const fullBelowInodes = 32;
/** A reserve is made again only where it leaves so much for everything else. */
const remakeAboveBytes = 256 * mebibyte;

interface Room {
  readonly freeBytes: number;
  /** Infinity on a file system that makes inodes as they are needed. */
  readonly freeInodes: number;
}

async function roomAt(directory: string): Promise<Room> {
  const { bavail, bsize, files: inodes, ffree } = await statfs(directory);
  return { freeBytes: bavail * bsize, freeInodes: inodes === 0 ? Number.POSITIVE_INFINITY : ffree };
}

const isFull = ({ freeBytes, freeInodes }: Room): boolean => freeBytes < fullBelowBytes || freeInodes < fullBelowInodes;

export type ReserveChange = "released" | "made" | "none" | "full without a reserve";

/**
 * Releases the reserve in `directory` when its file system is full, and makes it (again) when there is plenty of room and
 * `mayMake` allows it. `parent`, which exists, lies on that file system.
 */
export async function adjustReserve(directory: string, parent: string, mayMake: boolean): Promise<ReserveChange> {
  const room = await roomAt(parent);
  const kept = namesIn(directory);
  if (isFull(room)) {
    rmSync(directory, { recursive: true, force: true });
    return kept.length > 0 ? "released" : "full without a reserve";
  }
  if (!mayMake || kept.length >= files || room.freeBytes < remakeAboveBytes) return "none";
  make(directory);
  return "made";
}

function make(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (let number = 1; number <= files; number += 1) {
    const fd = openSync(join(directory, String(number)), "w", 0o600);
    try {
      allocate(fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** Where blocks cannot be allocated by a call, they are written, and not as zeroes, which may take none. */
function allocate(fd: number): void {
  if (libc.posix_fallocate(fd, 0, fileBytes) === 0) return;
  const piece = crypto.getRandomValues(new Uint8Array(65_536));
  for (let written = 0; written < fileBytes; ) written += writeSync(fd, piece);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}
