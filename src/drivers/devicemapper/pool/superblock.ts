// Room: drivers. Owns what is on a metadata device: a thin-pool, nothing, or something foreign.
import { isSnapmillError } from "../../../domain/errors.ts";
import { readBeginning, wipeBeginning } from "../../../system/block/block-devices.ts";
import { parseSuperblock, type ThinSuperblock } from "../../../system/block/thin-metadata.ts";
import { metadataBlockBytes } from "../control/control.ts";

/** `empty`: the kernel would format a new pool on it. `foreign`: something else, or a damaged pool. */
export type MetadataContent =
  | { readonly kind: "empty" }
  | { readonly kind: "foreign" }
  | { readonly kind: "thin-pool"; readonly superblock: ThinSuperblock };

/** For a pool that is not loaded: the page cache does not show what a loaded pool writes. */
export const readMetadataContent = async (path: string): Promise<MetadataContent> =>
  parseMetadataContent(await readBeginning(path, metadataBlockBytes));

/** Has the kernel format the device at the next load, as it does when this block is all zeroes. */
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
