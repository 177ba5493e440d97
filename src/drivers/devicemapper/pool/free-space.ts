// Room: drivers. Owns the check of a thin-pool's free space before anything new is made.
import { failedPrecondition, resourceExhausted } from "../../../domain/errors.ts";
import { formatSize } from "../../../domain/units.ts";
import type { BlockCounts, ThinSuperblock } from "../../../system/block/thin-metadata.ts";
import { requireFree } from "../../../system/file/space.ts";
import { metadataBlockBytes, type PoolStatus, sectorBytes } from "../control/control.ts";
import type { PoolDefinition } from "./definition.ts";
import { poolTrouble, repairCommands } from "./health.ts";

/** Throws `resource_exhausted` when too little of the pool's data, its metadata or the host under it is free. */
export async function requireFreeSpace(
  definition: PoolDefinition,
  superblock: ThinSuperblock,
  minFreeShare: number,
): Promise<void> {
  const { pool, storage } = definition;
  if (superblock.needsCheck) {
    throw failedPrecondition(`pool ${pool} must be checked (needs_check): ${repairCommands(definition)}`);
  }
  const requireShare = (what: string, { free, total }: BlockCounts, blockBytes: number) => {
    if (free >= total * minFreeShare && free > 0) return;
    const [rest, all] = [formatSize(free * blockBytes), formatSize(total * blockBytes)];
    const least = `${Math.round(minFreeShare * 1000) / 10} %`;
    const wayOut = `remove snapshots, or 'snapmill pool grow ${pool}'`;
    throw resourceExhausted(`the ${what} of pool ${pool} has ${rest} free of ${all}, less than ${least}; ${wayOut}`);
  };
  requireShare("data", superblock.data, superblock.dataBlockSectors * sectorBytes);
  requireShare("metadata", superblock.metadata, metadataBlockBytes);
  if (storage.kind === "loopback") await requireFree("the host under the pool", storage.directory, undefined);
}

/** Throws when writes to `subject` may have been lost: the pool is full, or accepts no writes for another reason. */
export function requireWritable(definition: PoolDefinition, status: PoolStatus, subject: string): void {
  const { pool } = definition;
  const lost = `${subject}: writes may have been lost`;
  const wayOut = `make room ('snapmill pool grow ${pool}', or remove snapshots), and make what was written anew`;
  if (status.mode === "out_of_data_space") throw resourceExhausted(`${lost}, the pool ${pool} is full: ${wayOut}`);
  const trouble = poolTrouble(definition, status);
  if (trouble === undefined) return;
  if (isOutOfMetadata(status)) throw resourceExhausted(`${lost}, ${trouble}: ${wayOut}`);
  throw failedPrecondition(`${lost}, ${trouble}`);
}

/** When metadata runs out, the kernel makes the pool read-only. */
export const isOutOfMetadata = ({ mode, needsCheck, usedMetadataBlocks, totalMetadataBlocks }: PoolStatus): boolean =>
  mode === "ro" && !needsCheck && usedMetadataBlocks >= totalMetadataBlocks;
