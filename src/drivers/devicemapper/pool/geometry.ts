// Room: drivers. Owns the arithmetic of a thin-pool: block sizes, how much metadata it needs, its table.
import { invalidArgument } from "../../../domain/errors.ts";
import { metadataBlockBytes, type PoolStatus, type PoolTable, sectorBytes } from "../control/control.ts";
import type { PoolDefinition } from "./definition.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/**
 * The smallest of dm-thin. A write to a snapshot copies and allocates at least one block. Layers are many small files, so
 * small blocks share more; large sequential writes on large disks may profit from larger ones.
 */
export const defaultBlockBytes = 64 * kibibyte;
const blockStepBytes = 64 * kibibyte;
const maxBlockBytes = 1024 * mebibyte;

/** As many sectors as dm-thin's blocks may have: 64 KiB to 1 GiB in steps of 64 KiB. Throws `invalid_argument`. */
export function blockSectorsOf(blockBytes: number): number {
  if (blockBytes % blockStepBytes !== 0 || blockBytes < blockStepBytes || blockBytes > maxBlockBytes) {
    throw invalidArgument(`a block of ${blockBytes} bytes is not possible: use 64KiB to 1GiB in steps of 64KiB`);
  }
  return blockBytes / sectorBytes;
}

export const blockBytesOf = ({ blockSectors }: Pick<PoolDefinition, "blockSectors">): number =>
  blockSectors * sectorBytes;

export const minMetadataBytes = 2 * mebibyte;
/** The kernel uses no more of a larger device (DM_SM_METADATA_MAX_BLOCKS: 255 bitmap blocks), about 15.9 GiB. */
export const maxMetadataBytes = 255 * (2 ** 14 - 64) * metadataBlockBytes;

/** What the kernel's documentation asks for (thin-provisioning.rst): 48 bytes a block, 2 MiB at least. */
export const neededMetadataBytes = (dataBytes: number, blockBytes: number): number =>
  metadataBlocks(48 * Math.ceil(dataBytes / blockBytes));

/**
 * The metadata of a pool in files: twice the minimum plus 16 MiB, since each snapshot has tree nodes of its own (12 KiB at
 * least). In a sparse file, unused space costs nothing.
 */
export const roomyMetadataBytes = (dataBytes: number, blockBytes: number): number =>
  metadataBlocks(2 * neededMetadataBytes(dataBytes, blockBytes) + 16 * mebibyte);

function metadataBlocks(bytes: number): number {
  const bounded = Math.min(Math.max(bytes, minMetadataBytes), maxMetadataBytes);
  return Math.ceil(bounded / metadataBlockBytes) * metadataBlockBytes;
}

/** Data blocks that fit; a last one that is not whole does not count. */
export const wholeBlocks = (dataBytes: number, blockBytes: number): number => Math.floor(dataBytes / blockBytes);

/** The default low-water mark: a tenth of the pool, like the space guard's. */
export const defaultLowWaterBlocks = (dataBytes: number, blockBytes: number): number =>
  Math.ceil(wholeBlocks(dataBytes, blockBytes) / 10);

export interface PoolDevices {
  readonly metadataDevice: string;
  readonly dataDevice: string;
  readonly dataBytes: number;
}

/**
 * The pool's table. Blocks are always zeroed before their first use (no skip_block_zeroing): a new device reads as
 * zeroes, and the user of a snapshot's raw block device must not see what a deleted one had in the same block.
 */
export function poolTable(definition: PoolDefinition, devices: PoolDevices): PoolTable {
  return {
    target: "thin-pool",
    sectors: wholeBlocks(devices.dataBytes, blockBytesOf(definition)) * definition.blockSectors,
    metadataDevice: devices.metadataDevice,
    dataDevice: devices.dataDevice,
    blockSectors: definition.blockSectors,
    lowWaterBlocks: definition.lowWaterBlocks,
    features: definition.whenFull === "error" ? ["error_if_no_space"] : [],
  };
}

export interface SpaceInPool {
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** How full a pool is, in bytes: its data, and its metadata. */
export function spaceInPool(
  definition: Pick<PoolDefinition, "blockSectors">,
  blocks: Pick<PoolStatus, "usedDataBlocks" | "totalDataBlocks" | "usedMetadataBlocks" | "totalMetadataBlocks">,
): { readonly data: SpaceInPool; readonly metadata: SpaceInPool } {
  const blockBytes = blockBytesOf(definition);
  return {
    data: { usedBytes: blocks.usedDataBlocks * blockBytes, totalBytes: blocks.totalDataBlocks * blockBytes },
    metadata: {
      usedBytes: blocks.usedMetadataBlocks * metadataBlockBytes,
      totalBytes: blocks.totalMetadataBlocks * metadataBlockBytes,
    },
  };
}
