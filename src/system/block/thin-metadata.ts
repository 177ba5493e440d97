// Room: system. Owns the on-disk format of dm-thin's metadata, as far as it is read here.
// Source: drivers/md/dm-thin-metadata.c, drivers/md/persistent-data/dm-btree-internal.h and dm-space-map-common.h.
import { internal, isSnapmillError } from "../../domain/errors.ts";
import { crc32c } from "./crc32c.ts";
import { DirectReader } from "./direct-reads.ts";

export const metadataBlockBytes = 4096;

export interface BlockCounts {
  readonly total: number;
  readonly free: number;
}

/** The content of a pool's superblock, as of its last commit, which is at most a second old. */
export interface ThinSuperblock {
  readonly checksum: number;
  /** The kernel found an error: it writes nothing more before thin_check or thin_repair. */
  readonly needsCheck: boolean;
  readonly transactionId: number;
  readonly data: BlockCounts;
  /** Without the kernel's reserve, as `dmsetup status` counts. */
  readonly metadata: BlockCounts;
  readonly dataBlockSectors: number;
  /** Block of the root of the tree of mappings: a tree of data blocks for each device. */
  readonly mappingRoot: number;
  /** Block of the root of the tree of devices. */
  readonly detailsRoot: number;
}

/** A node of a tree whose leaves hold numbers: roots of other trees, or data blocks. */
export interface NumbersNode {
  readonly isInternal: boolean;
  readonly keys: readonly number[];
  /** Of an internal node: blocks of its children, each of which holds the keys from its own up to the next one. */
  readonly values: readonly bigint[];
}

/** A device's entry in the tree of devices. */
export interface ThinDetails {
  readonly mappedBlocks: number;
}

/** A node of the tree of devices. */
export type DetailsNode =
  /** `children[i]` holds the device IDs from `deviceIds[i]` up to the next one. */
  | { readonly kind: "internal"; readonly deviceIds: readonly number[]; readonly children: readonly number[] }
  | { readonly kind: "leaf"; readonly deviceIds: readonly number[]; readonly details: readonly ThinDetails[] };

const magic = 27_022_010;
const salts = { superblock: 160_774, node: 121_107 } as const;
const needsCheckFlag = 1;

/** The kernel's reserve since 4.20: a tenth, 16 MiB at most. */
const reservedBlocks = (totalBlocks: number): number => Math.min(4096, Math.floor(totalBlocks / 10));

/** `block` is a superblock's 4096 bytes: the pool's own (block 0), or that of its metadata snapshot. */
export function parseSuperblock(block: Buffer): ThinSuperblock {
  if (block.readBigUInt64LE(32) !== BigInt(magic)) throw internal("this is not the metadata of a thin-pool");
  const checksum = requireIntact(block, salts.superblock);
  const data = readSpaceMap(block, 64);
  const metadata = readSpaceMap(block, 192);
  return {
    checksum,
    needsCheck: (block.readUInt32LE(4) & needsCheckFlag) !== 0,
    transactionId: readNumber(block, 48),
    data,
    metadata: { total: metadata.total, free: Math.max(0, metadata.free - reservedBlocks(metadata.total)) },
    mappingRoot: readNumber(block, 320),
    detailsRoot: readNumber(block, 328),
    dataBlockSectors: block.readUInt32LE(336),
  };
}

function readSpaceMap(block: Buffer, offset: number): BlockCounts {
  const total = readNumber(block, offset);
  return { total, free: total - readNumber(block, offset + 8) };
}

/** `block` is the 4096 bytes of block `number`. */
export function parseNode(block: Buffer, number: number): DetailsNode {
  const { isInternal, keys: deviceIds, valuesAt } = readKeys(block, number, detailsBytes);
  const each = <T>(read: (index: number) => T): T[] => deviceIds.map((_key, index) => read(index));
  if (isInternal)
    return { kind: "internal", deviceIds, children: each((index) => readNumber(block, valuesAt + index * 8)) };
  return {
    kind: "leaf",
    deviceIds,
    details: each((index) => ({ mappedBlocks: readNumber(block, valuesAt + index * detailsBytes) })),
  };
}

/** The same for a node of the tree of mappings, or of one of the trees in it. */
export function parseNumbersNode(block: Buffer, number: number): NumbersNode {
  const { isInternal, keys, valuesAt } = readKeys(block, number, 8);
  return { isInternal, keys, values: keys.map((_key, index) => block.readBigUInt64LE(valuesAt + index * 8)) };
}

/** The data block in a leaf's value; the lower 24 bits say when it was mapped. */
export const dataBlockIn = (value: bigint): number => Number(value >> 24n);

function readKeys(block: Buffer, number: number, leafValueBytes: number) {
  requireIntact(block, salts.node);
  if (readNumber(block, 8) !== number) throw internal(`block ${number} of the metadata belongs elsewhere`);
  const isInternal = (block.readUInt32LE(4) & 1) !== 0;
  // All trees of the metadata have nodes of this kind; the size of their values tells them apart.
  if (block.readUInt32LE(24) !== (isInternal ? 8 : leafValueBytes))
    throw internal(`block ${number} is of another tree`);
  const [entries, maxEntries] = [block.readUInt32LE(16), block.readUInt32LE(20)];
  const keys = Array.from({ length: entries }, (_, index) => readNumber(block, 32 + index * 8));
  return { isInternal, keys, valuesAt: 32 + maxEntries * 8 };
}

/** mapped_blocks, transaction_id (8 bytes each), creation_time, snapshotted_time (4 each). */
const detailsBytes = 24;

function requireIntact(block: Buffer, salt: number): number {
  const checksum = block.readUInt32LE(0);
  if (checksum === (crc32c(0xffffffff, block.subarray(4)) ^ salt) >>> 0) return checksum;
  throw internal("a block of the thin-pool's metadata has a wrong checksum");
}

const readNumber = (block: Buffer, offset: number): number => Number(block.readBigUInt64LE(offset));

/** A block that is read while the kernel writes it may be half old. */
const looks = 5;

/** The pool's superblock, by way of `read`. Throws `internal` when it is damaged. */
export function lookAtSuperblock(read: () => Buffer): ThinSuperblock {
  for (let count = 1; count < looks; count++) {
    const superblock = intactSuperblock(read());
    if (superblock !== undefined) return superblock;
  }
  return parseSuperblock(read());
}

/** The superblock of the pool whose metadata device is at `path`. Blocks its thread for one read. */
export function readSuperblockSync(path: string): ThinSuperblock {
  using reader = new DirectReader(path);
  return lookAtSuperblock(() => reader.read(0, metadataBlockBytes));
}

function intactSuperblock(block: Buffer): ThinSuperblock | undefined {
  try {
    return parseSuperblock(block);
  } catch (error) {
    if (isSnapmillError(error, "internal")) return undefined;
    throw error;
  }
}
