// Room: drivers. Owns the question what is on a metadata device: a thin-pool, nothing, or something else's.
import { isSnapmillError } from "../../../domain/errors.ts";
import { readBeginning, wipeBeginning } from "../../../system/block/block-devices.ts";
import { parseSuperblock, type ThinSuperblock } from "../../../system/block/thin-metadata.ts";
import { metadataBlockBytes } from "../control/control.ts";

/** `empty`: the kernel would make a new pool of it. `foreign`: something else's, or a damaged one. */
export type MetadataContent =
  | { readonly kind: "empty" }
  | { readonly kind: "foreign" }
  | { readonly kind: "thin-pool"; readonly superblock: ThinSuperblock };

/** Of a pool that is not loaded: what a loaded one writes does not show through the page cache. */
export const readMetadataContent = async (path: string): Promise<MetadataContent> =>
  parseMetadataContent(await readBeginning(path, metadataBlockBytes));

/** Makes the kernel format the device when it is next loaded: it does so when this block is all zeroes. */
export const wipeMetadata = (path: string): Promise<void> => wipeBeginning(path, metadataBlockBytes);

export function parseMetadataContent(block: Buffer): MetadataContent {
  if (block.every((byte) => byte === 0)) return { kind: "empty" };
  if (block.length < metadataBlockBytes) return { kind: "foreign" };
  try {
    return { kind: "thin-pool", superblock: parseSuperblock(block) };
  } catch (error) {
    if (isSnapmillError(error, "internal")) return { kind: "foreign" };
    throw error;
  }
}
