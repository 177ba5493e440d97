// Room: drivers. Owns the creation of a thin-pool, recorded beforehand so that a half-made one can be undone.
import { mkdir, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { alreadyExists, failedPrecondition, isSnapmillError } from "../../../domain/errors.ts";
import { reach } from "../../../system/faults.ts";
import { isErrno } from "../../../system/ffi/errno.ts";
import { removeEmptyDirectories } from "../../../system/file/directories.ts";
import { syncPath } from "../../../system/file/durable.ts";
import { requireUnshared } from "../../../system/file/shared-paths.ts";
import { requireFree } from "../../../system/file/space.ts";
import type { DmControl } from "../control/control.ts";
import {
  type Beginning,
  definitionPath,
  type PoolDefinition,
  poolDeviceName,
  readBeginning,
  readDefinition,
  removeBeginning,
  writeBeginning,
  writeDefinition,
} from "./definition.ts";
import { checkPlan, type PoolPlan } from "./plan.ts";
import { attachStorage, filesIn } from "./storage.ts";
import { wipeMetadata } from "./superblock.ts";
import { createPoolDevice, loadThinPool, removePoolDevice, requireOurs, type ThinPool } from "./thin-pool.ts";

export interface CreateRequest {
  readonly control: DmControl;
  /** Created when it is missing. */
  readonly poolDir: string;
  readonly plan: PoolPlan;
  /** With less than this free on the host no files are made. Default: see requireFree. */
  readonly minHostFreeBytes?: number | undefined;
  readonly onNotice?: ((sentence: string) => void) | undefined;
  /** Cancels the creation between two effects; all that was made is undone. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes a thin-pool, loads it, and writes its definition. Only one process at a time may do so: the caller holds the
 * pool's lock. When it fails, everything that it made is undone; when it is killed, the next call does that first.
 *
 * Errors: `already_exists`, `resource_exhausted` when the host has too little room, and those of `checkPlan`.
 */
export async function createThinPool(request: CreateRequest): Promise<ThinPool> {
  const { control, plan, onNotice, signal } = request;
  await mkdir(request.poolDir, { recursive: true });
  const poolDir = await realpath(request.poolDir);
  await undoHalfMade(control, poolDir);
  await requireNew(control, poolDir, plan);
  const { storage } = plan;
  const madeDirectory = storage.kind === "loopback" ? await makeDirectory(storage.directory) : undefined;
  let beginning: Beginning | undefined;
  try {
    const { definition, formats, notices } = await checkPlan(plan);
    for (const notice of notices) onNotice?.(notice);
    await requireHostRoom(definition, request.minHostFreeBytes);
    signal?.throwIfAborted();
    beginning = { definition, formats, madeDirectory };
    await writeBeginning(poolDir, beginning);
    reach("pool-create.begun");
    await makePool(control, beginning);
    reach("pool-create.made");
    signal?.throwIfAborted();
    const pool = await loadThinPool({ control, definition, poolDir, onNotice, isNew: true });
    await writeDefinition(poolDir, definition);
    reach("pool-create.defined");
    await removeBeginning(poolDir);
    return pool;
  } catch (error) {
    if (beginning !== undefined) await undo(control, poolDir, beginning);
    else if (storage.kind === "loopback" && madeDirectory !== undefined)
      await removeEmptyDirectories(await realpath(storage.directory), madeDirectory);
    throw error;
  }
}

async function requireNew(control: DmControl, poolDir: string, plan: PoolPlan): Promise<void> {
  const deviceName = poolDeviceName(plan.pool);
  if ((await control.info(deviceName)) !== undefined) {
    throw alreadyExists(`device-mapper has a device ${deviceName} already: choose another name for the pool`);
  }
  if (plan.existing === "adopt" || (await readDefinition(poolDir)) === undefined) return;
  throw alreadyExists(
    `pool ${plan.pool} was made before (${definitionPath(poolDir)}); delete ${poolDir} to forget it and its snapshots`,
  );
}

async function requireHostRoom({ storage }: PoolDefinition, minHostFreeBytes: number | undefined): Promise<void> {
  if (storage.kind === "loopback") await requireFree("the host", storage.directory, minHostFreeBytes);
}

async function makePool(control: DmControl, { definition, formats }: Beginning): Promise<void> {
  const { storage } = definition;
  if (storage.kind === "loopback") {
    const files = filesIn(storage.directory);
    await makeFile(files.data, storage.dataBytes);
    await makeFile(files.metadata, storage.metadataBytes);
    await syncPath(storage.directory);
    reach("pool-create.filed");
  }
  await using attached = await attachStorage(storage);
  if (formats) await wipeMetadata(attached.metadata.path);
  if (formats) await createPoolDevice(control, definition, attached);
}

async function makeFile(file: string, sizeBytes: number): Promise<void> {
  await writeFile(file, "", { flag: "wx", mode: 0o600 });
  try {
    await truncate(file, sizeBytes);
  } catch (error) {
    if (!isErrno(error, "EFBIG", "EINVAL")) throw error;
    throw failedPrecondition(`the host's file system has no file of ${sizeBytes} bytes (${file}): choose less`, error);
  }
  await syncPath(file);
}

/** Undoes a creation that was killed. */
async function undoHalfMade(control: DmControl, poolDir: string): Promise<void> {
  const beginning = await readBeginning(poolDir);
  if (beginning === undefined) return;
  // It was killed after everything had been made. (An adoption makes nothing that could be undone.)
  if (beginning.formats && (await readDefinition(poolDir)) !== undefined) await removeBeginning(poolDir);
  else await undo(control, poolDir, beginning);
}

async function undo(control: DmControl, poolDir: string, beginning: Beginning): Promise<void> {
  const { definition, formats, madeDirectory } = beginning;
  const { storage } = definition;
  if (await isOurs(control, definition)) await removePoolDevice(control, definition);
  if (storage.kind === "loopback") {
    for (const file of Object.values(filesIn(storage.directory))) await rm(file, { force: true });
    if (madeDirectory !== undefined) await removeEmptyDirectories(storage.directory, madeDirectory);
  } else if (formats) {
    await wipeMetadata(storage.metadataDevice);
  }
  await removeBeginning(poolDir);
}

async function isOurs(control: DmControl, definition: PoolDefinition): Promise<boolean> {
  const found = await control.info(poolDeviceName(definition.pool));
  if (found === undefined) return false;
  if (!found.hasLiveTable) return true;
  try {
    await requireOurs(control, definition);
    return true;
  } catch (error) {
    if (isSnapmillError(error, "failed_precondition") || isSnapmillError(error, "not_found")) return false;
    throw error;
  }
}

/** The topmost directory that was created; undefined when all existed. Refused where other users can write. */
async function makeDirectory(directory: string): Promise<string | undefined> {
  requireUnshared(directory);
  const uppermost = await mkdir(directory, { recursive: true, mode: 0o700 });
  return uppermost === undefined ? undefined : await realpath(uppermost);
}
