// Room: system. Owns loop devices: attaching files to them and detaching them, by ioctl (a process costs ms).
import { constants } from "node:fs";
import { access, type FileHandle, open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { failedPrecondition, notFound, resourceExhausted, unavailable } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { ioctlBuffer, ioctlNumber } from "../ffi/ioctl.ts";
import { runCommand } from "../process/commands.ts";
import { loopAt } from "./attached-loops.ts";
import { encodeLoopConfig, loopFlags, loopInfoBytes, readLoopFlags, withLoopFlags } from "./loop-structures.ts";

// include/uapi/linux/loop.h
const requests = {
  clearFd: 0x4c01,
  setStatus64: 0x4c04,
  getStatus64: 0x4c05,
  setCapacity: 0x4c07,
  configure: 0x4c0a,
  controlGetFree: 0x4c82,
} as const;
const loopMajor = 7;
const attempts = 64;

export interface LoopOptions {
  readonly readOnly?: boolean;
  /** Bypasses the page cache of the file's file system, if that supports it. */
  readonly directIo?: boolean;
  /** The kernel detaches the device after its last use, also when this process dies by SIGKILL. */
  readonly autoClear?: boolean;
  /** Logical block size; default: the kernel's choice. */
  readonly blockSizeBytes?: number;
}

/** An attached loop device. Disposing of it detaches it (see `detachLoop`); one with `autoClear` when it is unused. */
export interface LoopDevice extends AsyncDisposable {
  /** `/dev/loopN` */
  readonly path: string;
}

/**
 * Attaches `file` (which exists) to a free loop device, which stays after this process unless `autoClear` is set.
 * Errors: SystemCallError, `unavailable` when other processes took every number that was tried.
 */
export async function attachLoop(file: string, options: LoopOptions = {}): Promise<LoopDevice> {
  await using backing = await open(file, options.readOnly === true ? constants.O_RDONLY : constants.O_RDWR);
  for (let attempt = 0; attempt < attempts; attempt++) {
    const path = await freeLoop();
    await using scope = new AsyncDisposableStack();
    const handle = scope.use(await open(path, options.readOnly === true ? constants.O_RDONLY : constants.O_RDWR));
    if (configure(handle, backing, path, options)) {
      if (options.autoClear !== true) return { path, [Symbol.asyncDispose]: () => detachLoop(path, file) };
      const kept = scope.move();
      return { path, [Symbol.asyncDispose]: () => kept.disposeAsync() };
    }
    await delay(Math.random() * attempt);
  }
  throw unavailable(`no free loop device for ${file}: other processes took each of ${attempts} that were tried`);
}

/** False when another process has taken the device meanwhile. */
function configure(loop: FileHandle, backing: FileHandle, path: string, options: LoopOptions): boolean {
  const config = (directIo: boolean) => encodeLoopConfig(backing.fd, { ...options, directIo });
  try {
    if (options.directIo === true) {
      try {
        ioctlBuffer(loop.fd, requests.configure, config(true), "LOOP_CONFIGURE", path);
        return true;
      } catch (error) {
        if (!isErrno(error, "EINVAL")) throw error;
      }
    }
    ioctlBuffer(loop.fd, requests.configure, config(false), "LOOP_CONFIGURE", path);
    return true;
  } catch (error) {
    if (isErrno(error, "EBUSY")) return false;
    throw error;
  }
}

async function freeLoop(): Promise<string> {
  const control = await openControl();
  await using _ = control;
  try {
    const number = ioctlNumber(control.fd, requests.controlGetFree, 0, "LOOP_CTL_GET_FREE", "/dev/loop-control");
    const path = `/dev/loop${number}`;
    await ensureNode(path, number);
    return path;
  } catch (error) {
    if (isErrno(error, "ENOSPC")) throw resourceExhausted("the kernel has no free loop device left", error);
    throw error;
  }
}

async function openControl(): Promise<FileHandle> {
  try {
    return await open("/dev/loop-control", constants.O_RDWR);
  } catch (error) {
    const wayOut = "load the kernel module 'loop', and run as root on the host or in a privileged container";
    throw failedPrecondition(`loop devices are not available here (/dev/loop-control): ${wayOut}`, error);
  }
}

/** In a container, /dev is usually not a devtmpfs, so a new loop device has no node there. */
async function ensureNode(path: string, number: number): Promise<void> {
  const exists = () =>
    access(path).then(
      () => true,
      () => false,
    );
  if (await exists()) return;
  try {
    await runCommand("mknod", ["-m", "0660", path, "b", String(loopMajor), String(number)]);
  } catch (error) {
    if (!(await exists())) throw error;
  }
}

/**
 * Detaches `file` from the loop device at `path`; a device that has another file, or none, is left alone. All writes
 * through the device are in the file afterwards. `failed_precondition` when it is mounted or open: it then stays as it is.
 * (LOOP_CLR_FD alone returns 0 for a device in use, and detaches it later.)
 *
 * `isFlushed`: the device was flushed just now, and what is written to it since then need not be kept.
 */
export async function detachLoop(path: string, file: string, { isFlushed = false } = {}): Promise<void> {
  const busy = (cause?: unknown) => failedPrecondition(`${path} (${file}) is mounted or open`, cause);
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_EXCL);
  } catch (error) {
    if (isErrno(error, "EBUSY")) throw busy(error);
    if (isErrno(error, "ENOENT", "ENXIO")) return;
    throw error;
  }
  await using _ = handle;
  if ((await loopAt(path))?.backingFile !== file) return;
  if (!isFlushed) await syncAsFarAsPossible(handle);
  try {
    ioctlNumber(handle.fd, requests.clearFd, 0, "LOOP_CLR_FD", path);
  } catch (error) {
    if (!isErrno(error, "ENXIO")) throw error;
  }
  if (keepIfDeferred(handle.fd, path)) throw busy();
}

/**
 * Detaches `file` from the loop device at `path` now or, if it is in use (by a copy of a mount in another namespace, for
 * example), after its last use, as LOOP_CLR_FD does.
 */
export async function releaseLoop(path: string, file: string): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY);
  if ((await loopAt(path))?.backingFile !== file) return;
  try {
    ioctlNumber(handle.fd, requests.clearFd, 0, "LOOP_CLR_FD", path);
  } catch (error) {
    if (!isErrno(error, "ENXIO")) throw error;
  }
}

/**
 * Writes that the file has no space for are lost in any case: a caller that must know flushes before. A full device must
 * still be detached, so that it can be deleted.
 */
async function syncAsFarAsPossible(handle: FileHandle): Promise<void> {
  try {
    await handle.sync();
  } catch (error) {
    if (!isErrno(error, "EIO", "ENOSPC", "EDQUOT")) throw error;
  }
}

/** With another descriptor open, the kernel only marks the device to be detached at the last close: clears that mark. */
function keepIfDeferred(fd: number, path: string): boolean {
  const status = Buffer.alloc(loopInfoBytes);
  try {
    ioctlBuffer(fd, requests.getStatus64, status, "LOOP_GET_STATUS64", path);
  } catch (error) {
    if (isErrno(error, "ENXIO")) return false;
    throw error;
  }
  const kept = withLoopFlags(status, readLoopFlags(status) & ~loopFlags.autoClear);
  ioctlBuffer(fd, requests.setStatus64, kept, "LOOP_SET_STATUS64", path);
  return true;
}

/**
 * Whether the loop device is mounted or held exclusively. A process that merely has it open (a virtual machine, for
 * example) is not seen here, but by `detachLoop`.
 */
export async function isHeldExclusively(path: string): Promise<boolean> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_EXCL);
    await handle.close();
    return false;
  } catch (error) {
    if (isErrno(error, "EBUSY")) return true;
    if (isErrno(error, "ENOENT", "ENXIO")) throw notFound(`there is no block device at ${path}`, error);
    throw error;
  }
}

/** Makes the device as large as its file has become. */
export async function updateLoopCapacity(path: string): Promise<void> {
  await using handle = await open(path, constants.O_RDONLY);
  ioctlNumber(handle.fd, requests.setCapacity, 0, "LOOP_SET_CAPACITY", path);
}
