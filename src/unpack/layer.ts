// Room: unpack. Owns the way of one layer from its blob onto a device: mount, apply, verify, flush, unmount.
import { internal, invalidArgument, isSnapmillError, resourceExhausted } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import { reach } from "../system/faults.ts";
import { SystemCallError } from "../system/ffi/libc.ts";
import { mountDetached } from "../system/mount/detached.ts";
import type { ByteString } from "../system/tree/bytes.ts";
import { must } from "../system/tree/calls.ts";
import { syncFileSystem } from "../system/tree/data.ts";
import { closeDescriptor, openDirectoryBelow } from "../system/tree/tree.ts";
import { maxPaddingBytes } from "../tar/blocks.ts";
import { TarReader } from "../tar/reader.ts";
import { LayerApplier } from "./apply/applier.ts";
import type { BlobStream } from "./blob-stream.ts";
import { BlobThread } from "./blob-thread.ts";
import { PhaseClock, type PhasesMs } from "./phases.ts";
import type { ApplyRequest } from "./protocol.ts";
import { SpaceGuard } from "./space-guard.ts";

export interface AppliedLayer {
  /** Of the uncompressed tar. */
  readonly bytes: number;
  readonly entries: number;
  readonly spentMs: PhasesMs;
}

/** What of the blob has been read; the layer is not applied before its promise says so. */
export type OnProgress = (readBytes: number) => void;

/** Beside this process's main thread, however many layers it applies. */
const blobThread = new BlobThread();

/**
 * Applies a layer to the file system on `request.devicePath`, which nobody has mounted. When the promise resolves, all
 * of it is on the device and the device is not in use. When it rejects, the device is not in use either and its
 * content is worth nothing. Blocks its thread for as long as the kernel takes, so it is for a process of its own, one
 * layer at a time; a second thread decompresses meanwhile.
 *
 * Errors: `invalid_argument` for a layer that is damaged, hostile or not the one that was asked for;
 * `resource_exhausted` when the device, or what lies under it, is full; `internal` for I/O errors and the like.
 */
export async function applyLayer(request: ApplyRequest, onProgress: OnProgress): Promise<AppliedLayer> {
  const guard = new SpaceGuard(request.spaceGuards);
  guard.check();
  const clock = new PhaseClock();
  using blob = blobThread.open(request, request.next);
  try {
    const applied = await onDevice(request, { blob, guard, clock, onProgress });
    clock.ended("mounting");
    reach("writer.unmounted");
    return { ...applied, spentMs: clock.spentMs };
  } catch (error) {
    // An I/O error may be all that a file system says when there is no room under it.
    if (!isSnapmillError(error) || error.code === "internal") guard.check();
    throw error;
  }
}

interface Supervision {
  readonly blob: BlobStream;
  readonly guard: SpaceGuard;
  readonly clock: PhaseClock;
  readonly onProgress: OnProgress;
}

type Applied = Omit<AppliedLayer, "spentMs">;

async function onDevice(request: ApplyRequest, supervision: Supervision): Promise<Applied> {
  const { devicePath, fsType, mountOptions } = request;
  using mount = mountDetached({ source: devicePath, fsType, options: mountOptions, readOnly: false });
  // Open before the first write: syncfs reports what failed since then.
  using root = openRoot(mount.fd, devicePath);
  reach("writer.mounted");
  supervision.clock.ended("mounting");
  const applied = await applyTo(root.descriptor, request, supervision);
  flush(root.descriptor, devicePath, supervision.guard);
  supervision.clock.ended("flush");
  reach("writer.synced");
  return applied;
}

async function applyTo(
  root: number,
  request: ApplyRequest,
  { blob, guard, clock, onProgress }: Supervision,
): Promise<Applied> {
  using applier = new LayerApplier(root, {
    onWritten: (writtenBytes) => guard.written(writtenBytes),
    lookBelow: () => guard.check(),
  });
  const reader = new TarReader(applier);
  const collector = new GarbageCollector();
  let bytes = 0;
  let isPastHalf = false;
  for await (const { bytes: chunk, readBytes } of blob.chunks()) {
    clock.ended("waiting");
    bytes += chunk.length;
    const half = isPastHalf || readBytes * 2 < request.blob.lengthBytes ? 0 : chunk.length >> 1;
    if (half > 0) {
      isPastHalf = true;
      reader.push(chunk.subarray(0, half));
      reach("writer.half");
    }
    reader.push(chunk.subarray(half));
    checkPadding(reader.behindBytes);
    collector.look(applier.entries + reader.extendedBytes / 1024);
    clock.ended("writing");
    guard.written(applier.writtenBytes);
    onProgress(readBytes);
  }
  clock.ended("waiting");
  verify("digest", request.digest, blob.digests.blob);
  verify("diff ID", request.diffId, blob.digests.tar);
  reader.end();
  applier.complete();
  clock.ended("writing");
  return { bytes, entries: applier.entries };
}

/** The diff ID covers the padding too, but hashing hours of it is no use. */
function checkPadding(bytes: number): void {
  if (bytes > maxPaddingBytes) {
    throw invalidArgument(
      `the layer goes on for more than ${formatSize(maxPaddingBytes)} behind the end of its tar, which no program writes`,
    );
  }
}

/** Each entry leaves a kibibyte or two, each kibibyte of extended headers as much: what is collected late would take this process beyond its bound. */
const garbagePerCollection = 10_000;

class GarbageCollector {
  #collectedAt = 0;

  /** `garbage`: entries, and kibibytes of extended headers, so far. */
  look(garbage: number): void {
    if (garbage - this.#collectedAt < garbagePerCollection) return;
    this.#collectedAt = garbage;
    Bun.gc(true);
  }
}

function verify(what: string, expected: string, actual: string): void {
  if (expected !== actual)
    throw invalidArgument(`the layer's ${what} does not match: expected ${expected}, got ${actual}`);
}

function openRoot(mount: number, devicePath: string): Disposable & { readonly descriptor: number } {
  const descriptor = must(openDirectoryBelow(mount, "" as ByteString), `open root of ${devicePath}`, "/" as ByteString);
  return { descriptor, [Symbol.dispose]: () => closeDescriptor(descriptor) };
}

/** Pages that went to the cache without complaint may find no room now: then it is said here, once, or never. */
function flush(root: number, devicePath: string, guard: SpaceGuard): void {
  const result = syncFileSystem(root);
  if (result === 0) return;
  const error = new SystemCallError("syncfs", devicePath, -result);
  const message = `the layer could not be written to its device: ${error.message}`;
  if (error.code !== "ENOSPC" && error.code !== "EDQUOT") throw internal(message, error);
  // The file system has given these pages their blocks already: it is what lies under it that has none.
  guard.check();
  throw resourceExhausted(`${message}; the device's pool, or the host's disk under it, is full: make room`, error);
}
