// Room: test. Owns the entries of test layers: one function for each kind of tar entry.

/** A string is written as UTF-8; bytes as they are. */
export type Bytes = string | Uint8Array;

export interface Attributes {
  /** Default 0o755 for directories, 0o644 for all else. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Nanoseconds since 1970; default `defaultMtimeNs`. Written as a PAX record where it is not a whole second. */
  readonly mtimeNs?: bigint;
  /** By full name, "user.colour"; written as SCHILY.xattr records. */
  readonly xattrs?: Readonly<Record<string, Bytes>>;
  /** More PAX records, behind the writer's own, so that they override them. */
  readonly pax?: Readonly<Record<string, Bytes>>;
  /** How a name or link target longer than its field is written; default "pax". */
  readonly longNames?: "pax" | "gnu";
}

export interface Extent {
  readonly offsetBytes: number;
  readonly content: Uint8Array;
}

export const sparseForms = ["gnu", "pax-0.0", "pax-0.1", "pax-1.0"] as const;
export type SparseForm = (typeof sparseForms)[number];

interface Named {
  readonly path: Buffer;
  readonly attributes: Attributes;
}

export type NodeEntry = Named &
  (
    | { readonly kind: "file"; readonly content: Buffer }
    | { readonly kind: "directory" }
    | { readonly kind: "symlink"; readonly target: Buffer }
    | { readonly kind: "hardlink"; readonly target: Buffer }
    | { readonly kind: "character"; readonly major: number; readonly minor: number }
    | { readonly kind: "block"; readonly major: number; readonly minor: number }
    | { readonly kind: "fifo" }
    | {
        readonly kind: "sparse";
        readonly form: SparseForm;
        readonly sizeBytes: number;
        readonly extents: readonly Extent[];
      }
  );

export type Entry =
  | NodeEntry
  | { readonly kind: "global-pax"; readonly records: Readonly<Record<string, Bytes>> }
  | { readonly kind: "raw"; readonly bytes: Uint8Array };

export const defaultMtimeNs = 1_700_000_000_000_000_000n;

export const bytesOf = (text: Bytes): Buffer => Buffer.from(text);

export const file = (path: Bytes, content: Bytes = "", attributes: Attributes = {}): NodeEntry => ({
  kind: "file",
  path: bytesOf(path),
  content: bytesOf(content),
  attributes,
});

export const directory = (path: Bytes, attributes: Attributes = {}): NodeEntry => ({
  kind: "directory",
  path: bytesOf(path),
  attributes,
});

export const symlink = (path: Bytes, target: Bytes, attributes: Attributes = {}): NodeEntry => ({
  kind: "symlink",
  path: bytesOf(path),
  target: bytesOf(target),
  attributes,
});

/** `target` is a path from the root of the layer, as in every tar. */
export const hardLink = (path: Bytes, target: Bytes, attributes: Attributes = {}): NodeEntry => ({
  kind: "hardlink",
  path: bytesOf(path),
  target: bytesOf(target),
  attributes,
});

export const characterDevice = (path: Bytes, major: number, minor: number, attributes: Attributes = {}): NodeEntry => ({
  kind: "character",
  path: bytesOf(path),
  major,
  minor,
  attributes,
});

export const blockDevice = (path: Bytes, major: number, minor: number, attributes: Attributes = {}): NodeEntry => ({
  kind: "block",
  path: bytesOf(path),
  major,
  minor,
  attributes,
});

export const fifo = (path: Bytes, attributes: Attributes = {}): NodeEntry => ({
  kind: "fifo",
  path: bytesOf(path),
  attributes,
});

/**
 * Extents in rising order that do not touch; what lies between them is a hole. Their lengths are multiples of 512 save
 * for the last one's: GNU tar starts each on a block, others read them without a gap.
 */
export const sparse = (
  path: Bytes,
  sizeBytes: number,
  extents: readonly Extent[],
  form: SparseForm = "pax-1.0",
  attributes: Attributes = {},
): NodeEntry => ({ kind: "sparse", path: bytesOf(path), sizeBytes, extents, form, attributes });

/** Removes `path` of the lower layers. */
export function whiteout(path: string): NodeEntry {
  const slash = path.lastIndexOf("/") + 1;
  return file(`${path.slice(0, slash)}.wh.${path.slice(slash)}`);
}

/** Hides all that the lower layers have in the directory. */
export const opaque = (directoryPath: string): NodeEntry => file(`${directoryPath}/.wh..wh..opq`);

export const globalPax = (records: Readonly<Record<string, Bytes>>): Entry => ({ kind: "global-pax", records });

/** Bytes that stand in the tar as they are: for hostile and damaged layers. Full 512-byte blocks, usually. */
export const raw = (bytes: Uint8Array): Entry => ({ kind: "raw", bytes });
