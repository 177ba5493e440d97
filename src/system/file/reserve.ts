// Room: system. Owns a reserve of disk space: files that are deleted when all other space is used up.
import { FFIType } from "bun:ffi";
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../ffi/errno.ts";
import { openLibc } from "../ffi/libc.ts";
import { type Space, spaceOf } from "./space.ts";

const libc = openLibc({
  posix_fallocate: { args: [FFIType.i32, FFIType.i64, FFIType.i64], returns: FFIType.i32 },
});

const mebibyte = 2 ** 20;
/** Several files, not one: inodes can be used up as well as blocks. */
const files = 16;
const fileBytes = mebibyte;
export const reserveBytes = files * fileBytes;

/** With less than this the disk counts as full: SQLite and Redis need some of it to finish what they have begun. */
const fullBelowBytes = 8 * mebibyte;
const fullBelowInodes = 32;
/** A reserve is made again only when this much is free. */
const remakeAboveBytes = 256 * mebibyte;

const isFull = ({ freeBytes, freeInodes }: Space): boolean =>
  freeBytes < fullBelowBytes || freeInodes < fullBelowInodes;

export type ReserveChange = "released" | "made" | "none" | "full without a reserve";

/**
 * Releases the reserve in `directory` when its file system is full, and makes it (again) when there is enough space and
 * `mayMake` allows it. `parent`, which exists, is on that file system.
 */
export async function adjustReserve(directory: string, parent: string, mayMake: boolean): Promise<ReserveChange> {
  const space = await spaceOf(parent);
  const kept = namesIn(directory);
  if (isFull(space)) {
    rmSync(directory, { recursive: true, force: true });
    return kept.length > 0 ? "released" : "full without a reserve";
  }
  if (!mayMake || kept.length >= files || space.freeBytes < remakeAboveBytes) return "none";
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

/** Where the call cannot allocate blocks, they are written; not as zeroes, which may be stored as holes. */
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
