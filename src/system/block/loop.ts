// Room: system. Owns loop devices: attaching files to them and taking them off again, by ioctl (a process costs ms).
import { constants } from "node:fs";
import { access, type FileHandle, open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { failedPrecondition, notFound, resourceExhausted, unavailable } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { ioctlBuffer, ioctlNumber } from "../ffi/ioctl.ts";
import { runCommand } from "../process/commands.ts";
import { encodeLoopConfig, loopFlags, loopInfoBytes, readLoopFlags, withLoopFlags } from "./loop-structures.ts";
import { loopAt } from "./loops.ts";

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
  /** Bypass the page cache of the file's file system, where that can do it; where not, the page cache is used. */
  readonly directIo?: boolean;
  /** The kernel takes the device off when the last user is gone, however it goes: also this process by SIGKILL. */
  readonly autoClear?: boolean;
  /** Logical block size; default: what the kernel finds right. */
  readonly blockSizeBytes?: number;
}

/** An attached loop device. Disposing of it takes it off (see `detachLoop`); one with `autoClear` when unused. */
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
    throw failedPrecondition(`loop devices are not to be had here (/dev/loop-control): ${wayOut}`, error);
  }
}

/** In a container, /dev is seldom the kernel's own: a new loop device then has no node there. */
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
 * Takes `file` off the loop device at `path`; a device that has another file, or none, is left alone. What was
 * written through the device is on the file afterwards. `failed_precondition` when it is mounted or open: it then
 * stays as it is. (LOOP_CLR_FD alone answers 0 on a device in use, and takes it off behind the user's back later.)
 */
export async function detachLoop(path: string, file: string): Promise<void> {
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
  await syncAsFarAsPossible(handle);
  try {
    ioctlNumber(handle.fd, requests.clearFd, 0, "LOOP_CLR_FD", path);
  } catch (error) {
    if (!isErrno(error, "ENXIO")) throw error;
  }
  if (keepIfDeferred(handle.fd, path)) throw busy();
}

/**
 * Takes `file` off the loop device at `path` now or, when somebody still uses it (a mount that another namespace has a
 * copy of, say), with its last user: LOOP_CLR_FD's own way.
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
 * What the file has no room for is lost with the loop device or without: who must know flushes before, and a device
 * that is full must still come off, to be deleted.
 */
async function syncAsFarAsPossible(handle: FileHandle): Promise<void> {
  try {
    await handle.sync();
  } catch (error) {
    if (!isErrno(error, "EIO", "ENOSPC", "EDQUOT")) throw error;
  }
}

/** With another descriptor open, the kernel only marks the device to be taken off at the last close: unmark it. */
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
 * Whether someone has the loop device mounted or holds it exclusively. What merely has it open (a virtual machine,
 * say) does not show here; `detachLoop` sees that too.
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
