// Room: images. Owns what the bytes of a layer or an archive really are, whatever their name or media type says.
import { isSnapmillError } from "../domain/errors.ts";
import { blockBytes, isZeroBlock } from "../tar/blocks.ts";
import { parseMemberHeader } from "../tar/header.ts";
import { readStart } from "./files.ts";
import type { BlobRange, Compression } from "./image.ts";

/** `foreign`: compressed in a way that is not supported. `unknown`: neither compressed nor a tar. */
export type Content =
  | { readonly kind: Compression }
  | { readonly kind: "foreign"; readonly name: string }
  | { readonly kind: "unknown" };

/** RFC 1952, RFC 8878 (skippable frames too), and the magic numbers of what is not supported. */
const magics: readonly (readonly [RegExp, Content])[] = [
  [/^1f8b/, { kind: "gzip" }],
  [/^(?:28b52ffd|5.2a4d18)/, { kind: "zstd" }],
  [/^425a68/, { kind: "foreign", name: "bzip2" }],
  [/^fd377a585a00/, { kind: "foreign", name: "xz" }],
  [/^04224d18/, { kind: "foreign", name: "lz4" }],
  [/^894c5a4f/, { kind: "foreign", name: "lzop" }],
];

/** A block with a header's checksum, or of zeroes: a tar without entries. */
function isTar(start: Buffer): boolean {
  if (start.length < blockBytes) return false;
  if (isZeroBlock(start)) return true;
  try {
    parseMemberHeader(start);
    return true;
  } catch (error) {
    if (isSnapmillError(error)) return false;
    throw error;
  }
}

/** What `range` starts with. */
export const contentOf = async (range: BlobRange, expected?: Compression): Promise<Content> =>
  contentOfStart(await readStart(range, contentStartBytes), expected);

/** How much of a blob is needed to tell what it is. */
export const contentStartBytes = blockBytes;

/**
 * What a blob is by its `start`: its first `contentStartBytes`, or all of a shorter one. It is what it is `expected` to
 * be when its first bytes agree. Otherwise a tar is recognised by its header's checksum before any magic number, since
 * its first bytes are a name, which may be "BZh". An empty blob is an empty layer, as containerd takes it.
 */
export function contentOfStart(start: Buffer, expected: Compression = "none"): Content {
  if (start.length === 0) return { kind: "none" };
  const hex = start.toString("hex", 0, 6);
  const [, found] = magics.find(([pattern]) => pattern.test(hex)) ?? [];
  if (found !== undefined && found.kind === expected) return found;
  if (isTar(start)) return { kind: "none" };
  return found ?? { kind: "unknown" };
}
