// Room: drivers. Owns the status of a thin-pool, loaded or not, read without changing anything.
import { failedPrecondition } from "../../../domain/errors.ts";
import type { Ownership } from "../../port.ts";
import type { DmControl, PoolMode } from "../control/control.ts";
import { type PoolDefinition, poolDeviceName } from "./definition.ts";
import { type SpaceInPool, spaceInPool } from "./geometry.ts";
import { poolTrouble, readPoolStatus, repairCommands } from "./health.ts";
import { ownershipOf } from "./ownership.ts";
import { metadataPathOf } from "./storage.ts";
import { readMetadataContent } from "./superblock.ts";
import { requireOurs } from "./thin-pool.ts";

export interface PoolReport {
  /** Its name in device-mapper. */
  readonly deviceName: string;
  readonly isLoaded: boolean;
  /** Null: it is not loaded. */
  readonly mode: PoolMode | null;
  readonly needsCheck: boolean;
  /** Why it cannot be used, and how to repair it; null when it can. */
  readonly trouble: string | null;
  readonly data: SpaceInPool;
  /** What the kernel reserves counts as used. */
  readonly metadata: SpaceInPool;
  readonly transactionId: number;
  /** Null: it is not claimed. */
  readonly owner: Ownership | null;
}

/** Errors: `failed_precondition` when the device of the pool's name, or what is on its metadata device, is another's. */
export async function reportOnPool(control: DmControl, definition: PoolDefinition): Promise<PoolReport> {
  const deviceName = poolDeviceName(definition.pool);
  const isLoaded = (await control.info(deviceName))?.hasLiveTable === true;
  const seen = isLoaded ? await lookAtLoaded(control, definition) : await lookAtMetadata(definition);
  const owner = seen.transactionId === 0 ? null : ownershipOf(seen.transactionId);
  return { deviceName, isLoaded, ...seen, owner };
}

type Seen = Omit<PoolReport, "deviceName" | "isLoaded" | "owner">;

async function lookAtLoaded(control: DmControl, definition: PoolDefinition): Promise<Seen> {
  await requireOurs(control, definition);
  const status = await readPoolStatus(control, poolDeviceName(definition.pool));
  const { mode, needsCheck, transactionId } = status;
  const trouble = poolTrouble(definition, status) ?? null;
  return { mode, needsCheck, trouble, transactionId, ...spaceInPool(definition, status) };
}

async function lookAtMetadata(definition: PoolDefinition): Promise<Seen> {
  const path = metadataPathOf(definition.storage);
  const content = await readMetadataContent(path);
  if (content.kind !== "thin-pool") {
    throw failedPrecondition(`${path} does not begin like a pool's metadata; ${repairCommands(definition)}`);
  }
  const { superblock } = content;
  const { needsCheck, transactionId } = superblock;
  const blocks = {
    usedDataBlocks: superblock.data.total - superblock.data.free,
    totalDataBlocks: superblock.data.total,
    usedMetadataBlocks: superblock.metadata.total - superblock.metadata.free,
    totalMetadataBlocks: superblock.metadata.total,
  };
  const asLoaded = {
    ...blocks,
    target: "thin-pool",
    mode: "rw",
    needsCheck,
    transactionId,
    heldMetadataRoot: undefined,
  } as const;
  const trouble = poolTrouble(definition, asLoaded) ?? null;
  return { mode: null, needsCheck, trouble, transactionId, ...spaceInPool(definition, blocks) };
}
