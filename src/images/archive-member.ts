// Room: images. Owns what one member of a tar archive is, by its header and the extended headers before it.
import { posix } from "node:path";
import type { ByteString } from "../system/tree/bytes.ts";
import { isSparse } from "../tar/content.ts";
import type { MemberHeader } from "../tar/header.ts";
import { linkNameOf, nameOf, type Preamble } from "../tar/preamble.ts";
import type { BlobRange } from "./image.ts";

export type Member =
  | { readonly kind: "file"; readonly offsetBytes: number; readonly lengthBytes: number }
  /** `target`: the name of another member. */
  | { readonly kind: "link"; readonly target: ByteString }
  | { readonly kind: "unreadable"; readonly why: string };

/** "./blobs//x" and "blobs/x" name the same member. No name leads out of the archive: ".." at its root is dropped. */
export const memberName = (name: string): ByteString =>
  posix.normalize(`/${name}`).slice(1).replace(/\/$/, "") as ByteString;

/** Undefined for directories, which no document of an image refers to. */
export function memberOf(
  header: MemberHeader,
  preamble: Preamble,
  range: Pick<BlobRange, "offsetBytes" | "lengthBytes">,
): Member | undefined {
  const { typeFlag } = header;
  if (isSparse(header, preamble)) return { kind: "unreadable", why: "is stored as a sparse file" };
  switch (typeFlag) {
    case "\0":
      // Before POSIX a directory was a file whose name ends in a slash.
      return nameOf(header, preamble).endsWith("/") ? undefined : { kind: "file", ...range };
    case "0":
    case "7":
      return { kind: "file", ...range };
    case "1":
      return { kind: "link", target: memberName(linkNameOf(header, preamble)) };
    case "2":
      return { kind: "link", target: symlinkTarget(nameOf(header, preamble), linkNameOf(header, preamble)) };
    case "5":
      return undefined;
    default:
      return { kind: "unreadable", why: "is not a regular file" };
  }
}

const symlinkTarget = (name: ByteString, target: ByteString): ByteString =>
  memberName(target.startsWith("/") ? target : posix.join(posix.dirname(memberName(name)), target));
