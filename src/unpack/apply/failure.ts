// Room: unpack. Owns the judgement on a failed entry: is the layer wrong, is the device full, or is something broken.
import {
  internal,
  invalidArgument,
  isSnapmillError,
  resourceExhausted,
  type SnapmillError,
} from "../../domain/errors.ts";
import { SystemCallError } from "../../system/libc.ts";
import { type ByteString, display } from "../../system/tree-bytes.ts";

/** What the kernel answers to names, links and attributes that no file system would take. */
const layersFault: Readonly<Record<string, string>> = {
  ENAMETOOLONG: "its name or target is longer than the file system allows",
  ENOTDIR: "a file is where its path needs a directory",
  ELOOP: "its path leads through too many symbolic links",
  EINVAL: "the kernel finds it invalid",
  ERANGE: "the name of an extended attribute is too long",
  E2BIG: "an extended attribute is too large",
  EMLINK: "the file system allows no more hard links or directories there",
};

const full: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

/** `error`, which stopped the entry `name`, as the error of its layer. */
export function entryFailure(name: ByteString, error: unknown): SnapmillError {
  const entry = `entry ${display(name)}`;
  if (isSnapmillError(error))
    return error.code === "invalid_argument" ? invalidArgument(`${entry}: ${error.message}`, error) : error;
  if (!(error instanceof SystemCallError)) return internal(`${entry}: ${String(error)}`, error);
  if (full.has(error.code)) return resourceExhausted(`the layer does not fit on its device: ${error.message}`, error);
  const reason = layersFault[error.code];
  if (reason !== undefined) return invalidArgument(`${entry}: ${reason} (${error.message})`, error);
  return internal(`${entry}: ${error.message}`, error);
}
