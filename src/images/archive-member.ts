// Room: images. Owns what one member of a tar archive is, by its header and the extended headers before it.
import { posix } from "node:path";
import type { BlobRange } from "./image.ts";
import { parsePaxRecords, type TarHeader } from "./tar-header.ts";

export type Member =
  | { readonly kind: "file"; readonly offsetBytes: number; readonly lengthBytes: number }
  /** `target`: the name of another member. */
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "unreadable"; readonly why: string };

/** What extended headers say of the member behind them. */
export interface Overrides {
  name?: string;
  linkName?: string;
  sizeBytes?: number;
  isSparse?: boolean;
}

/** "./blobs//x" and "blobs/x" are the same member; a name that leads out of the archive stays as odd as it is. */
export const memberName = (name: string): string => posix.normalize(`/${name}`).slice(1).replace(/\/$/, "");

export const isExtended = (header: TarHeader): boolean => ["L", "K", "x"].includes(header.typeflag);

export function overridesOf(header: TarHeader, body: Buffer, before: Overrides): Overrides {
  const text = () => body.toString("utf8").replace(/\0.*$/s, "");
  if (header.typeflag === "L") return { ...before, name: text() };
  if (header.typeflag === "K") return { ...before, linkName: text() };
  const overrides: Overrides = { ...before };
  for (const [keyword, value] of parsePaxRecords(body)) {
    if (keyword === "path" || keyword === "GNU.sparse.name") overrides.name = value.toString("utf8");
    if (keyword === "linkpath") overrides.linkName = value.toString("utf8");
    if (keyword === "size") overrides.sizeBytes = Number(value.toString("latin1"));
    if (keyword.startsWith("GNU.sparse.")) overrides.isSparse = true;
  }
  return overrides;
}

/** Undefined for what the index has no use for: directories and global headers. */
export function memberOf(
  header: TarHeader,
  overrides: Overrides,
  name: string,
  range: Pick<BlobRange, "offsetBytes" | "lengthBytes">,
): Member | undefined {
  const linkName = overrides.linkName ?? header.linkName.toString("utf8");
  switch (header.typeflag) {
    case "0":
    case "7":
      return overrides.isSparse
        ? { kind: "unreadable", why: "is stored as a sparse file" }
        : { kind: "file", ...range };
    case "1":
      return { kind: "link", target: memberName(linkName) };
    case "2":
      return {
        kind: "link",
        target: memberName(linkName.startsWith("/") ? linkName : posix.join(posix.dirname(name), linkName)),
      };
    case "5":
    case "g":
      return undefined;
    default:
      return { kind: "unreadable", why: "is not a regular file" };
  }
}
