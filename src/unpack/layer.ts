// Room: unpack. Owns the unpacking of one layer onto a device: mount, apply, verify, flush, unmount.
import { internal, invalidArgument, isSnapmillError, resourceExhausted } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import { reach } from "../system/faults.ts";
import { SystemCallError } from "../system/ffi/libc.ts";
import { syncFileSystem } from "../system/tree/data.ts";
import { maxPaddingBytes } from "../tar/blocks.ts";
import { TarReader } from "../tar/reader.ts";
import { LayerApplier } from "./apply/applier.ts";
import type { BlobStream } from "./blob-stream.ts";
import { BlobThread } from "./blob-thread.ts";
import { copyDevice } from "./device-copy.ts";
import { DeviceMount } from "./device-mount.ts";
import { PhaseClock, type PhasePeriods, type PhasesMs, type PhaseTimes } from "./phases.ts";
import type { ApplyRequest } from "./protocol.ts";
import { SpaceGuard } from "./space-guard.ts";

export interface AppliedLayer {
  /** Of the uncompressed tar. */
  readonly bytes: number;
  readonly entries: number;
  readonly spentMs: PhasesMs;
  readonly periods: PhasePeriods;
}

/**
 * Called with how much of the blob has been read, and what the phases have taken so far; only the promise says that the
 * layer is applied. `isFlushing`: all is written, and the flush begins.
 */
export type OnProgress = (readBytes: number, times: PhaseTimes, isFlushing: boolean) => void;

/** One for the process, however many layers it applies. */
const blobThread = new BlobThread();
const device = new DeviceMount();

/** Unmounts what a layer has left mounted for the next one. */
export const releaseDevice = (): void => device[Symbol.dispose]();

/**
 * Applies a layer to the file system on `request.devicePath`, which is not mounted, or only by a layer before this one.
 * When the promise resolves, all of it is on the device; the device is not in use, or with `keepsMount` at rest. When it
 * rejects, the device is not in use, and its content is unusable. It blocks its thread during system calls, so it needs a process of its own, for one layer at a time; a second
 * thread decompresses meanwhile.
 *
 * Errors: `invalid_argument` for a layer that is damaged, hostile or not the one that was asked for;
 * `resource_exhausted` when the device, its pool or the host's disk is full; `internal` for I/O errors and the like.
 */
export async function applyLayer(request: ApplyRequest, onProgress: OnProgress): Promise<AppliedLayer> {
  const guard = new SpaceGuard(request.spaceGuards);
  guard.check();
  const clock = new PhaseClock();
  using blob = blobThread.open(request, request.next);
  try {
    const applied = await onDevice(request, { blob, guard, clock, onProgress });
    clock.ended("mounting");
    reach(request.keepsMount === true ? "writer.rested" : "writer.unmounted");
    return { ...applied, spentMs: clock.spentMs, periods: clock.periods };
  } catch (error) {
    // A full pool or host disk may show only as an I/O error of the file system.
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

type Applied = Omit<AppliedLayer, "spentMs" | "periods">;

async function onDevice(request: ApplyRequest, supervision: Supervision): Promise<Applied> {
  using scope = new DisposableStack();
  scope.defer(releaseDevice);
  const root = device.open(request);
  reach("writer.mounted");
  supervision.clock.ended("mounting");
  const applied = await applyTo(root, request, supervision);
  supervision.onProgress(request.blob.lengthBytes, supervision.clock, true);
  flush(root, request.devicePath, supervision.guard);
  supervision.clock.ended("flush");
  reach("writer.synced");
  if (request.keepsMount === true) {
    device.rest();
    if (request.copy !== undefined) {
      copyDevice(request.copy);
      reach("writer.copied");
    }
    scope.move();
  }
  return applied;
}

async function applyTo(
  root: number,
  request: ApplyRequest,
  { blob, guard, clock, onProgress }: Supervision,
): Promise<Applied> {
  using applier = new LayerApplier(root, {
    onWritten: (writtenBytes) => guard.written(writtenBytes),
    checkBelow: () => guard.check(),
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
    onProgress(readBytes, clock, false);
  }
  clock.ended("waiting");
  verify("digest", request.digest, blob.digests.blob);
  verify("diff ID", request.diffId, blob.digests.tar);
  reader.end();
  applier.complete();
  clock.ended("writing");
  return { bytes, entries: applier.entries };
}

/** The diff ID covers the padding too, but padding can take hours to hash. */
function checkPadding(bytes: number): void {
  if (bytes > maxPaddingBytes) {
    throw invalidArgument(
      `the layer continues for more than ${formatSize(maxPaddingBytes)} after the end of its tar, which no program writes`,
    );
  }
}

/** Each entry, and each KiB of extended headers, leaves 1 or 2 KiB of garbage, which must not exceed this process's limit. */
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

/** Pages that the cache has accepted may find no space now. syncfs reports that once, and only here. */
function flush(root: number, devicePath: string, guard: SpaceGuard): void {
  const result = syncFileSystem(root);
  if (result === 0) return;
  const error = new SystemCallError("syncfs", devicePath, -result);
  const message = `the layer could not be written to its device: ${error.message}`;
  if (error.code !== "ENOSPC" && error.code !== "EDQUOT") throw internal(message, error);
  // The file system has allocated blocks for these pages already, so it is the pool or the host's disk that is full.
  guard.check();
  throw resourceExhausted(`${message}; the device's pool or the host's disk is full: make room`, error);
}
