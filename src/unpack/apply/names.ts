// Room: unpack. Owns what an entry's name means: a place in the tree, or a whiteout of what lower layers have there.
import { invalidArgument } from "../../domain/errors.ts";
import { type ByteString, maxPathBytes, sliceBytes } from "../../system/tree/bytes.ts";

/** A name in a directory, both relative to the root; `directory` may lead through symbolic links. "" is the root. */
export interface Place {
  readonly directory: ByteString;
  /** One component; "" when the name is the root's own. */
  readonly base: ByteString;
}

/** The longest name, before it is resolved. */
const maxSpelledBytes = 16 * maxPathBytes;

/**
 * The place of `name`, resolved as in a process whose root is the layer's: "/a", "../a", "./b/../a" and "a/" are all "a".
 * Throws invalid_argument for a name that is longer than the kernel accepts.
 */
export function placeOf(name: ByteString): Place {
  if (name.length > maxSpelledBytes) throw tooLong();
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const base = (parts.pop() ?? "") as ByteString;
  const directory = parts.join("/") as ByteString;
  if (directory.length + base.length + 1 >= maxPathBytes) throw tooLong();
  return { directory, base };
}

export const tooLong = () => invalidArgument(`its path is longer than ${maxPathBytes - 1} bytes`);

export type Marker =
  | { readonly kind: "none" }
  /** Removes `hidden` of the lower layers. */
  | { readonly kind: "whiteout"; readonly hidden: ByteString }
  /** Removes all that lower layers have in the directory. */
  | { readonly kind: "opaque" }
  /** Internal records of AUFS, which are ignored. */
  | { readonly kind: "ignored" };

const whiteoutPrefix = ".wh.";
const metadataPrefix = ".wh..wh.";
const opaqueName = ".wh..wh..opq";
const none: Marker = { kind: "none" };

/**
 * The mark that the entry at `place` is, by its name alone (OCI image specification, "Whiteouts").
 * Throws invalid_argument for a whiteout of nothing, of its directory or of the directory above.
 */
export function markerOf({ directory, base }: Place): Marker {
  if (base === opaqueName) return { kind: "opaque" };
  if (base.startsWith(metadataPrefix) || isBelowMetadata(directory)) return { kind: "ignored" };
  if (!base.startsWith(whiteoutPrefix)) return none;
  const hidden = sliceBytes(base, whiteoutPrefix.length);
  if (hidden === "" || hidden === "." || hidden === "..") {
    throw invalidArgument("it is a whiteout that names no file");
  }
  return { kind: "whiteout", hidden };
}

const isBelowMetadata = (directory: ByteString): boolean =>
  directory.includes(metadataPrefix) && directory.split("/").some((part) => part.startsWith(metadataPrefix));
