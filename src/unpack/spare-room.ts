// Room: unpack. Owns the forecast before an unpack: what layers will take of the pool, and how much of it they may take.
import type { Compression } from "../images/image.ts";
import { readSuperblockSync } from "../system/block/thin-metadata.ts";
import { defaultMinFreeBytes, type SpaceSource, spaceOf } from "../system/file/space.ts";

/** How much larger than its stored form a compressed layer is. */
export interface Expansion {
  readonly factor: number;
  /** `history`: of the layers that this pool has unpacked. `assumed`: they are too few to tell. */
  readonly basis: "history" | "assumed";
}

/** gzip brings the layers of most images to between a half and a quarter. */
const assumedFactor = 3;
/** Fewer compressed bytes say nothing of the next image. */
const leastHistoryBytes = 64 * 2 ** 20;
/** The file system's own: block tails and directories, and what copying on write leaves of a layer below. */
const overheadDivisor = 10;
const overheadBytes = 4 * 2 ** 20;

export function expansionOf({ compressedBytes, bytes }: Record<"compressedBytes" | "bytes", number>): Expansion {
  if (compressedBytes < leastHistoryBytes || bytes < compressedBytes)
    return { factor: assumedFactor, basis: "assumed" };
  return { factor: Math.round((bytes / compressedBytes) * 100) / 100, basis: "history" };
}

/** What a layer will take of the pool: an estimate, since its length is known only when it has been decompressed. */
export function estimatedBytes(
  layer: { lengthBytes: number; compression: Compression },
  { factor }: Expansion,
): number {
  const bytes = layer.compression === "none" ? layer.lengthBytes : layer.lengthBytes * factor;
  return Math.ceil(bytes + bytes / overheadDivisor) + overheadBytes;
}

/** Of a thin-pool's data, so much must stay free for another device to be made: see SNAPMILL_MIN_FREE. */
export interface SpareLimits {
  readonly minFreeShare: number;
}

/** What new layers can take before the pool, or the host under it, refuses the next one. Not below 0. */
export async function spareBytes(sources: readonly SpaceSource[], { minFreeShare }: SpareLimits): Promise<number> {
  const spare = await Promise.all(
    sources.map(async (source) => {
      switch (source.kind) {
        case "file-system": {
          const { freeBytes, totalBytes } = await spaceOf(source.path);
          return freeBytes - defaultMinFreeBytes(totalBytes);
        }
        case "thin-pool": {
          const { data, dataBlockSectors } = readSuperblockSync(source.metadataDevice);
          return Math.floor(data.free - data.total * minFreeShare) * dataBlockSectors * 512;
        }
      }
    }),
  );
  return Math.max(0, Math.min(...spare));
}
