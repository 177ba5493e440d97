// Room: drivers. Owns the growth of a loaded thin-pool: first its files or devices, then its table.
import { stat, truncate } from "node:fs/promises";
import { failedPrecondition, internal, invalidArgument } from "../../../domain/errors.ts";
import { formatSize } from "../../../domain/units.ts";
import { findLoops } from "../../../system/block/attached-loops.ts";
import { sizeOfBlockDevice } from "../../../system/block/block-devices.ts";
import { updateLoopCapacity } from "../../../system/block/loop.ts";
import { reach } from "../../../system/faults.ts";
import { syncPath } from "../../../system/file/durable.ts";
import { requireFree } from "../../../system/file/space.ts";
import type { GrowRequest } from "../../port.ts";
import { type DmControl, metadataBlockBytes, type PoolTable, sectorBytes } from "../control/control.ts";
import { type PoolDefinition, type PoolStorage, poolDeviceName, writeDefinition } from "./definition.ts";
import { blockBytesOf, defaultLowWaterBlocks, maxMetadataBytes, poolTable, wholeBlocks } from "./geometry.ts";
import { poolTrouble, readPoolStatus } from "./health.ts";
import { filesIn } from "./storage.ts";

export interface GrowContext {
  readonly control: DmControl;
  readonly poolDir: string;
  readonly definition: PoolDefinition;
  /** With less than this free on the host no files are made larger. Default: see requireFree. */
  readonly minHostFreeBytes?: number | undefined;
}

/**
 * Grows the pool and writes its new definition; no other call on the pool may overlap (a device cannot be
 * activated while its pool is suspended). A growth that was interrupted is finished when the pool is next loaded.
 *
 * Errors: `invalid_argument` for a size that is smaller, or given for a pool on devices; `failed_precondition` for a
 * pool that must be repaired first; `resource_exhausted` when the host has too little room.
 */
export async function growPool(context: GrowContext, request: GrowRequest): Promise<PoolDefinition> {
  const { control, definition, poolDir } = context;
  const name = poolDeviceName(definition.pool);
  const status = await readPoolStatus(control, name);
  // The kernel does not grow a pool whose metadata it does not trust, and says so only in its log.
  if (status.needsCheck || status.mode === "failed") {
    throw failedPrecondition(poolTrouble(definition, status) ?? `pool ${definition.pool} cannot be grown`);
  }
  const table = await control.table(name);
  if (table?.target !== "thin-pool") throw failedPrecondition(`the device ${name} is no thin-pool`);
  const storage = await growFiles(context, request);
  reach("pool-grow.filed");
  const grown = await grownDefinition({ ...definition, storage }, table);
  await swapTable(control, name, grown.table);
  reach("pool-grow.swapped");
  await requireGrown(control, name, grown.table);
  await writeDefinition(poolDir, grown.definition);
  return grown.definition;
}

async function growFiles({ definition, minHostFreeBytes }: GrowContext, request: GrowRequest): Promise<PoolStorage> {
  const { storage } = definition;
  if (storage.kind === "devices") {
    if (request.dataBytes === undefined && request.metadataBytes === undefined) return storage;
    throw invalidArgument(
      `pool ${definition.pool} lies on ${storage.dataDevice} and ${storage.metadataDevice}: grow those (lvextend, say), ` +
        "then have the pool grown without a size",
    );
  }
  const files = filesIn(storage.directory);
  const blockBytes = blockBytesOf(definition);
  const dataBytes = wholeBlocks(request.dataBytes ?? storage.dataBytes, blockBytes) * blockBytes;
  const metadataBytes = request.metadataBytes ?? storage.metadataBytes;
  if (metadataBytes > maxMetadataBytes || metadataBytes % metadataBlockBytes !== 0) {
    throw invalidArgument(
      `metadata of ${metadataBytes} bytes is not possible: use whole blocks of ${metadataBlockBytes}, at most ${maxMetadataBytes}`,
    );
  }
  await requireNotSmaller("data", dataBytes, files.data);
  await requireNotSmaller("metadata", metadataBytes, files.metadata);
  await requireFree("the host", storage.directory, minHostFreeBytes);
  await growFile(files.data, dataBytes);
  await growFile(files.metadata, metadataBytes);
  return { ...storage, dataBytes, metadataBytes };
}

async function requireNotSmaller(what: string, sizeBytes: number, file: string): Promise<void> {
  const hasBytes = (await stat(file)).size;
  if (sizeBytes >= hasBytes) return;
  throw invalidArgument(
    `the pool's ${what} has ${formatSize(hasBytes)} already, and cannot become ${formatSize(sizeBytes)}: it only grows`,
  );
}

async function growFile(file: string, sizeBytes: number): Promise<void> {
  await truncate(file, sizeBytes);
  await syncPath(file);
  for (const loop of await findLoops(file)) await updateLoopCapacity(loop.path);
}

interface Grown {
  readonly definition: PoolDefinition;
  readonly table: PoolTable;
}

async function grownDefinition(definition: PoolDefinition, live: PoolTable): Promise<Grown> {
  const blockBytes = blockBytesOf(definition);
  const liveBytes = live.sectors * sectorBytes;
  const sizeBytes = await sizeOfBlockDevice(live.dataDevice);
  const dataBytes = wholeBlocks(sizeBytes, blockBytes) * blockBytes;
  if (dataBytes < liveBytes) {
    throw failedPrecondition(
      `the data device of pool ${definition.pool} has shrunk to ${sizeBytes} bytes, the pool has ${liveBytes}: ` +
        "give it its size back, or what lies beyond is lost",
    );
  }
  // A low-water mark that was the default share stays that share.
  const isShare = definition.lowWaterBlocks === defaultLowWaterBlocks(liveBytes, blockBytes);
  const lowWaterBlocks = isShare ? defaultLowWaterBlocks(dataBytes, blockBytes) : definition.lowWaterBlocks;
  const grown = { ...definition, lowWaterBlocks };
  const { metadataDevice, dataDevice } = live;
  return { definition: grown, table: poolTable(grown, { metadataDevice, dataDevice, dataBytes }) };
}

/** I/O to the pool's devices waits meanwhile; their file systems notice nothing else. */
async function swapTable(control: DmControl, name: string, table: PoolTable): Promise<void> {
  await control.reload(name, table);
  try {
    // Without a flush, which would wait for writes that wait for space in a full pool.
    await control.suspend(name, { lockFs: false, flush: false });
  } finally {
    await control.resume(name);
  }
}

async function requireGrown(control: DmControl, name: string, table: PoolTable): Promise<void> {
  const wantedBlocks = table.sectors / table.blockSectors;
  const { totalDataBlocks } = await readPoolStatus(control, name);
  if (totalDataBlocks === wantedBlocks) return;
  throw internal(`the kernel has not grown ${name}: ${totalDataBlocks} data blocks, not ${wantedBlocks}; see dmesg`);
}
