// Room: unpack. Owns the copy of a device that a writer makes between two layers, where devices are files with shared blocks.
import { constants, copyFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { internal, resourceExhausted } from "../domain/errors.ts";
import { isErrno } from "../system/ffi/errno.ts";
import type { CopyRequest } from "./protocol.ts";

const { COPYFILE_EXCL: mustBeNew, COPYFILE_FICLONE_FORCE: sharingBlocks } = constants;

/** The device must be at rest. Errors: `resource_exhausted` when the pool is full. */
export function copyDevice({ from, to }: CopyRequest): void {
  try {
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    copyFileSync(from, to, mustBeNew | sharingBlocks);
  } catch (error) {
    const message = `the device's content could not be copied: ${error instanceof Error ? error.message : String(error)}`;
    throw isErrno(error, "ENOSPC", "EDQUOT") ? resourceExhausted(message, error) : internal(message, error);
  }
}
