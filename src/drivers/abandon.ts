// Room: drivers. Owns the removal of what is left of a lost pool, so that a new one can be made in its place.
import { existsSync } from "node:fs";
import { realpath, rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { failedPrecondition } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import { findLoops } from "../system/block/attached-loops.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { syncPath } from "../system/file/durable.ts";
import { isMountPoint } from "../system/mount/mountinfo.ts";
import { attachedParts } from "./attached.ts";
import type { DmControlName } from "./devicemapper/control/control.ts";
import { definitionPath, poolDeviceName, readDefinition } from "./devicemapper/pool/definition.ts";
import { filesIn } from "./devicemapper/pool/storage.ts";
import { createDmControl } from "./open.ts";
import type { DriverName } from "./port.ts";
import { filesDir } from "./reflink/layout.ts";

export interface AbandonRequest {
  readonly pool: PoolName;
  readonly poolDir: string;
  readonly dmControl: DmControlName;
}

/**
 * Removes what is left of the pool in its directory, but does not touch the block devices of a thin-pool. Throws
 * `failed_precondition`, with nothing removed, while a part of the pool is attached to the host.
 */
export async function abandonPool(driver: DriverName, request: AbandonRequest): Promise<void> {
  switch (driver) {
    case "reflink":
      return await abandonReflink(request.poolDir);
    case "devmapper":
      return await abandonThinPool(request);
  }
}

async function abandonReflink(poolDir: string): Promise<void> {
  const dir = filesDir(poolDir);
  const mounted = (await isMountPoint(dir)) ? [dir] : [];
  requireNothing([...new Set([...mounted, ...(await attachedParts("reflink", poolDir))])]);
  try {
    await rmdir(dir);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTEMPTY")) throw error;
  }
}

async function abandonThinPool({ pool, poolDir, dmControl }: AbandonRequest): Promise<void> {
  await using control = createDmControl(dmControl);
  if ((await control.info(poolDeviceName(pool))) !== undefined) requireNothing([`device ${poolDeviceName(pool)}`]);
  const definition = await readDefinition(poolDir);
  const directory = definition?.storage.kind === "loopback" ? definition.storage.directory : poolDir;
  const files = definition?.storage.kind === "devices" ? [] : Object.values(filesIn(directory)).filter(existsSync);
  for (const file of files) requireNothing((await findLoops(await realpath(file))).map(({ path }) => path));
  for (const file of [...files, definitionPath(poolDir)]) await rm(file, { force: true });
  for (const dir of new Set([...files.map(dirname), poolDir])) await syncPath(dir);
}

function requireNothing(parts: readonly string[]): void {
  if (parts.length === 0) return;
  throw failedPrecondition(`a part of the pool is still attached (${parts.join(", ")}): unmount and detach it first`);
}
