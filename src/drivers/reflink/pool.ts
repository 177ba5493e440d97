// Room: drivers. Owns the pool itself: a directory on a file system with reflinks, or such a file system in a file.
import { constants } from "node:fs";
import { copyFile, mkdir, mkdtemp, realpath, rm, stat, truncate, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { failedPrecondition, invalidArgument, isSnapmillError } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import { findLoops, loopDeviceNumber } from "../../system/block/attached-loops.ts";
import { attachLoop, detachLoop, releaseLoop } from "../../system/block/loop.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { settleFile, syncPath } from "../../system/file/durable.ts";
import { requireFree } from "../../system/file/space.ts";
import { mountAtDir } from "../../system/mount/mountinfo.ts";
import { mountAt, unmount } from "../../system/mount/mounts.ts";
import { runCommand } from "../../system/process/commands.ts";
import { LostPool, type OpenRequest } from "../port.ts";
import { removeHalfMade } from "./files.ts";
import { blockBytes, filesDir, halfMade, imagePath } from "./layout.ts";

/** mkfs.xfs refuses less. */
const minImageBytes = 300 * 2 ** 20;

/** A pool that is ready for use. */
export interface OpenPool {
  /** Without symbolic links, as the kernel names the files of loop devices. */
  readonly filesDir: string;
  /** The file system that a pool in a sparse file takes space of; undefined for a pool in a directory. */
  readonly hostDir: string | undefined;
  /** Whether it was attached already, by a process that has died or by one that uses it. */
  readonly wasAttached: boolean;
  /** Detaches the pool from the host; returns why it could not, if so. */
  close(): Promise<string | undefined>;
}

export interface PoolRequest {
  readonly pool: PoolName;
  readonly poolDir: string;
  /** The size of a new pool in a file; in a directory, the file system is the limit. */
  readonly sizeBytes: number;
  readonly onNotice?: (sentence: string) => void;
  readonly minHostFreeBytes?: number;
}

/**
 * Opens the pool at `poolDir`, making it when there is none. A pool in a file keeps the size that it was made with:
 * another `sizeBytes` changes nothing, and is reported by `onNotice`. Throws LostPool.
 */
export async function openPool(request: PoolRequest, { mustExist }: OpenRequest): Promise<OpenPool> {
  if (mustExist) await requirePool(request);
  await mkdir(request.poolDir, { recursive: true });
  const poolDir = await realpath(request.poolDir);
  await removeHalfMade(poolDir, isOwnHalfMade);
  const image = imagePath(poolDir);
  const existing = await sizeOf(image);
  if (existing === undefined && (await hasReflinks(poolDir))) return openDirectory(poolDir);
  if (existing === undefined) {
    await requireFree("the host", poolDir, request.minHostFreeBytes);
    await makeImage(image, request.sizeBytes);
  } else if (existing !== request.sizeBytes) {
    request.onNotice?.(`the pool in ${image} keeps its size of ${existing} bytes; ${request.sizeBytes} were asked for`);
  }
  return openImage(poolDir, image);
}

/** Checks that the pool exists, and makes nothing. The caller checks its content. */
async function requirePool({ pool, poolDir }: PoolRequest): Promise<void> {
  const image = imagePath(poolDir);
  if ((await sizeOf(image)) !== undefined) return;
  const [attached] = await findLoops(await realPathOf(image));
  if (attached !== undefined) {
    const copy = `stop what uses it, then 'cp --sparse=always ${attached.path} ${image}' and 'losetup -d ${attached.path}'`;
    throw new LostPool(
      pool,
      `${image} was deleted, but is attached to ${attached.path} still`,
      `to have it back, ${copy}`,
    );
  }
  const dir = filesDir(poolDir);
  if ((await sizeOf(dir)) !== undefined && (await hasReflinks(poolDir))) return;
  throw new LostPool(pool, `${image} is not there`, "put it back, from a backup or from where it was moved to");
}

/** For a file that need not exist, in a directory that need not exist either. */
async function realPathOf(file: string): Promise<string> {
  try {
    return join(await realpath(dirname(file)), basename(file));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return file;
    throw error;
  }
}

async function openDirectory(poolDir: string): Promise<OpenPool> {
  const dir = filesDir(poolDir);
  await mkdir(dir, { recursive: true });
  await syncPath(poolDir);
  return { filesDir: dir, hostDir: undefined, wasAttached: false, close: () => Promise.resolve(undefined) };
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

const probePrefix = "probe-";

/** Drivers share the pool's directory: a half-made thin-pool has its record there. */
const isOwnHalfMade = (name: string): boolean =>
  name === basename(halfMade(imagePath("."))) || name.startsWith(halfMade(probePrefix));

/** Found out by cloning a file: whether a file system has reflinks depends on how it was made. */
async function hasReflinks(dir: string): Promise<boolean> {
  const probe = await mkdtemp(halfMade(join(dir, probePrefix)));
  try {
    const original = join(probe, "original");
    await writeFile(original, "x".repeat(4096), { flush: true });
    await copyFile(original, join(probe, "copy"), constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    if (isErrno(error, "EOPNOTSUPP", "ENOTSUP", "EINVAL", "ENOTTY", "ENOSYS", "EXDEV")) return false;
    throw error;
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

async function makeImage(image: string, sizeBytes: number): Promise<void> {
  if (sizeBytes < minImageBytes) {
    throw invalidArgument(`a pool of ${sizeBytes} bytes is too small: at least ${minImageBytes} (300 MiB) are needed`);
  }
  const unfinished = halfMade(image);
  await writeFile(unfinished, "", { flag: "wx", mode: 0o600 });
  await truncate(unfinished, sizeBytes);
  const options = ["-q", "-f", "-K", "-m", "reflink=1", "-s", `size=${blockBytes}`];
  await runCommand("mkfs.xfs", [...options, unfinished], { timeoutMs: 10 * 60_000 });
  await settleFile(unfinished, image);
}

async function openImage(poolDir: string, image: string): Promise<OpenPool> {
  const dir = filesDir(poolDir);
  await mkdir(dir, { recursive: true });
  const { path: loop, isNew } = await attachAndMount(dir, image);
  return { filesDir: dir, hostDir: poolDir, wasAttached: !isNew, close: () => closeImage(dir, loop, image) };
}

interface ImageLoop {
  /** `/dev/loopN` */
  readonly path: string;
  /** Attached just now, by this process. */
  readonly isNew: boolean;
}

async function attachAndMount(dir: string, image: string): Promise<ImageLoop> {
  for (let attempt = 1; ; attempt++) {
    const loop = await loopOf(image);
    try {
      await mountImage(loop.path, dir, image);
      return loop;
    } catch (error) {
      if (loop.isNew) {
        await releaseLoop(loop.path, image);
        throw error;
      }
      // One that was found may have been detached after its last use (see closeImage) before we opened it.
      const isGone = (await findLoops(image)).every((entry) => entry.path !== loop.path);
      if (!isGone || attempt === attachAttempts) throw error;
    }
  }
}

/** The one loop device of the image: two XFS instances on one file would destroy it. */
async function loopOf(image: string): Promise<ImageLoop> {
  const [found, ...more] = (await findLoops(image)).filter((entry) => !entry.deleted);
  if (more.length > 0) {
    const paths = [found, ...more].map((entry) => entry?.path).join(", ");
    throw failedPrecondition(`${image} is attached several times (${paths}); take off all but one with losetup -d`);
  }
  if (found !== undefined) return { path: found.path, isNew: false };
  const { path } = await attachLoop(image, { directIo: true, blockSizeBytes: blockBytes });
  return { path, isNew: true };
}

async function mountImage(loop: string, dir: string, image: string): Promise<void> {
  const number = await loopDeviceNumber(loop);
  const mounted = await mountAtDir(dir);
  if (mounted?.deviceNumber === number) return;
  if (mounted !== undefined) {
    throw failedPrecondition(`${mounted.source} is mounted on ${dir}, where ${image} belongs; unmount it first`);
  }
  // `discard` returns the space of deleted devices to the host's file system.
  try {
    await mountAt(loop, dir, "xfs", ["noatime", "discard"]);
  } catch (error) {
    // A mount(8) that a killed worker had started may have mounted it first.
    if ((await mountAtDir(dir))?.deviceNumber !== number) throw error;
  }
}

const attachAttempts = 3;

/** A loop device that was just detached may keep its file in here open for a moment. */
const unmountAttempts = 20;
const unmountPauseMs = 50;

/**
 * Detaches the pool from the host; returns why it could not, if it is in use. Another mount namespace may have a copy of
 * the mount (after `unshare -m`): then the loop device is detached together with that copy.
 */
async function closeImage(dir: string, loop: string, image: string): Promise<string | undefined> {
  const obstacle = await patiently(() => unmount(dir));
  if (obstacle !== undefined) return obstacle;
  if ((await patiently(() => detachLoop(loop, image))) !== undefined) await releaseLoop(loop, image);
  return undefined;
}

async function patiently(attempt: () => Promise<void>): Promise<string | undefined> {
  for (let count = 1; ; count++) {
    try {
      await attempt();
      return undefined;
    } catch (error) {
      if (!isSnapmillError(error, "failed_precondition")) throw error;
      if (count === unmountAttempts) return error.message;
      await delay(unmountPauseMs);
    }
  }
}
