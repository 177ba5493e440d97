// Room: drivers. Owns activation: the loop device on a device's file, and the stable path that leads to it.
import { mkdir, readdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { failedPrecondition, isSnapmillError } from "../../domain/errors.ts";
import { describeUse } from "../../domain/holders.ts";
import type { DeviceName, PoolName } from "../../domain/identifiers.ts";
import { type LoopEntry, listLoops, loopAt } from "../../system/block/attached-loops.ts";
import { holdersOf } from "../../system/block/holders.ts";
import { attachLoop, detachLoop, isHeldExclusively } from "../../system/block/loop.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { blockBytes, deviceFile, deviceOfFile, deviceOfLink, devicePath, halfMade, isHalfMade } from "./layout.ts";

/**
 * The active devices of one pool. The kernel knows which are active (by the file of each loop device); the map caches the
 * loop device, so that only `reconcile` and `found` look at all loop devices.
 */
export class Activations {
  readonly #pool: PoolName;
  readonly #filesDir: string;
  readonly #linksDir: string;
  readonly #loops = new Map<DeviceName, string>();

  constructor(pool: PoolName, filesDir: string, linksDir: string) {
    this.#pool = pool;
    this.#filesDir = filesDir;
    this.#linksDir = linksDir;
  }

  /**
   * Takes over what a dead process has left: adopts its loop devices, detaches those whose file is deleted or attached twice
   * (unless in use), and removes stable paths that lead nowhere, or to a loop device that has another file now.
   */
  async reconcile(): Promise<void> {
    await mkdir(this.#linksDir, { recursive: true });
    this.#loops.clear();
    for (const [device, entry] of await this.#ours()) {
      const needless = entry.deleted || this.#loops.has(device);
      if (needless && (await detachIfIdle(entry))) continue;
      if (!this.#loops.has(device)) this.#loops.set(device, entry.path);
    }
    await this.#removeStrayLinks();
    for (const [device, loop] of this.#loops) await this.#link(device, loop);
  }

  /** Loop devices on files of this pool, those whose file is deleted last. */
  async #ours(): Promise<[DeviceName, LoopEntry][]> {
    const prefix = `${this.#filesDir}/`;
    const entries = (await listLoops()).filter((entry) => entry.backingFile.startsWith(prefix));
    entries.sort((one, other) => Number(one.deleted) - Number(other.deleted));
    return entries.flatMap((entry): [DeviceName, LoopEntry][] => {
      const device = deviceOfFile(this.#pool, entry.backingFile.slice(prefix.length));
      return device === undefined ? [] : [[device, entry]];
    });
  }

  async #removeStrayLinks(): Promise<void> {
    for (const name of await readdir(this.#linksDir)) {
      const device = deviceOfLink(this.#pool, name);
      if (!isHalfMade(name) && (device === undefined || this.#loops.has(device))) continue;
      await rm(join(this.#linksDir, name), { force: true });
    }
  }

  /** The device's loop device; undefined when it is not active. */
  async loopOf(device: DeviceName): Promise<string | undefined> {
    return (await this.#entryOf(device))?.path;
  }

  async #entryOf(device: DeviceName): Promise<LoopEntry | undefined> {
    const path = this.#loops.get(device);
    if (path === undefined) return undefined;
    const entry = await loopAt(path);
    if (entry?.backingFile === deviceFile(this.#filesDir, device)) return entry;
    // Detached by another program: the loop device may have another file now.
    await this.#unlink(device);
    this.#loops.delete(device);
    return undefined;
  }

  async activate(device: DeviceName): Promise<void> {
    const entry = await this.#entryOf(device);
    if (entry !== undefined && !entry.deleted) return this.#link(device, entry.path);
    // A loop device whose file was deleted shows what the device was before.
    if (entry !== undefined) await this.deactivate(device);
    const file = deviceFile(this.#filesDir, device);
    const loop = await attachLoop(file, { directIo: true, blockSizeBytes: blockBytes });
    this.#loops.set(device, loop.path);
    await this.#link(device, loop.path);
  }

  /** `failed_precondition` when the device is in use; it stays active then. `isFlushed`: see detachLoop. */
  async deactivate(device: DeviceName, { isFlushed = false } = {}): Promise<void> {
    const loop = await this.loopOf(device);
    if (loop === undefined) return this.#unlink(device);
    if (await isHeldExclusively(loop)) throw await inUse(device, loop);
    // The path is removed first: it must never lead to a loop device that another program can take.
    await this.#unlink(device);
    try {
      await detachLoop(loop, deviceFile(this.#filesDir, device), { isFlushed });
      this.#loops.delete(device);
    } catch (error) {
      await this.#link(device, loop);
      throw isSnapmillError(error, "failed_precondition") ? await inUse(device, loop, error) : error;
    }
  }

  /** Every device that is active, or has a stable path. */
  async found(): Promise<ReadonlyMap<DeviceName, "active" | "path only">> {
    const active = new Map((await this.#ours()).map(([device]) => [device, "active" as const]));
    const links = (await readdir(this.#linksDir)).flatMap((name) => deviceOfLink(this.#pool, name) ?? []);
    return new Map([...links.map((device) => [device, "path only"] as const), ...active]);
  }

  active(): readonly DeviceName[] {
    return [...this.#loops.keys()];
  }

  async #link(device: DeviceName, loop: string): Promise<void> {
    const path = devicePath(this.#linksDir, device);
    if ((await linkTarget(path)) === loop) return;
    const unfinished = halfMade(path);
    await mkdir(this.#linksDir, { recursive: true });
    await rm(unfinished, { force: true });
    await symlink(loop, unfinished);
    await rename(unfinished, path);
  }

  async #unlink(device: DeviceName): Promise<void> {
    await rm(devicePath(this.#linksDir, device), { force: true });
  }
}

const inUse = async (device: DeviceName, loop: string, cause?: unknown) =>
  failedPrecondition(`device ${device} (${loop}) is ${describeUse(await holdersOf(loop))}`, cause);

async function detachIfIdle(entry: LoopEntry): Promise<boolean> {
  try {
    await detachLoop(entry.path, entry.backingFile);
    return true;
  } catch (error) {
    if (isSnapmillError(error, "failed_precondition")) return false;
    throw error;
  }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "EINVAL")) return undefined;
    throw error;
  }
}
