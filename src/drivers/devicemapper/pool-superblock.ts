// Room: drivers. Owns what the first block of a metadata device says: whose it is, and how full its pool was at rest.
import { readBeginning, wipeBeginning } from "../../system/block-devices.ts";
import { metadataBlockBytes } from "./control.ts";

/** The kernel's record of a pool that is not loaded (struct thin_disk_superblock, drivers/md/dm-thin-metadata.c). */
export interface PoolSuperblock {
  readonly transactionId: number;
  readonly needsCheck: boolean;
  readonly blockSectors: number;
  readonly usedDataBlocks: number;
  readonly totalDataBlocks: number;
  readonly usedMetadataBlocks: number;
  readonly totalMetadataBlocks: number;
}

/** `empty`: the kernel would make a new pool of it. `foreign`: something else's, or a damaged one. */
export type MetadataContent =
  | { readonly kind: "empty" }
  | { readonly kind: "foreign" }
  | { readonly kind: "thin-pool"; readonly superblock: PoolSuperblock };

const magic = 27_022_010n;
const needsCheckFlag = 1;
const offsets = {
  flags: 4,
  magic: 32,
  transactionId: 48,
  /** Each space map's root begins with the number of its blocks and the number of those in use, 64 bits each. */
  dataSpaceMap: 64,
  metadataSpaceMap: 192,
  blockSectors: 336,
} as const;

export const readMetadataContent = async (path: string): Promise<MetadataContent> =>
  parseMetadataContent(await readBeginning(path, metadataBlockBytes));

/** Makes the kernel format the device when it is next loaded: it does so when this block is all zeroes. */
export const wipeMetadata = (path: string): Promise<void> => wipeBeginning(path, metadataBlockBytes);

export function parseMetadataContent(block: Buffer): MetadataContent {
  if (block.every((byte) => byte === 0)) return { kind: "empty" };
  if (block.length < metadataBlockBytes || block.readBigUInt64LE(offsets.magic) !== magic) return { kind: "foreign" };
  const number64 = (offset: number) => Number(block.readBigUInt64LE(offset));
  const superblock: PoolSuperblock = {
    transactionId: number64(offsets.transactionId),
    needsCheck: (block.readUInt32LE(offsets.flags) & needsCheckFlag) !== 0,
    blockSectors: block.readUInt32LE(offsets.blockSectors),
    usedDataBlocks: number64(offsets.dataSpaceMap + 8),
    totalDataBlocks: number64(offsets.dataSpaceMap),
    usedMetadataBlocks: number64(offsets.metadataSpaceMap + 8),
    totalMetadataBlocks: number64(offsets.metadataSpaceMap),
  };
  return { kind: "thin-pool", superblock };
}
