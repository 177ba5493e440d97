// Room: images. Owns blobs that are kept on disk while several images may want them: how many, for how long, where.
import { createHash } from "node:crypto";
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync, type Stats } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../../domain/identifiers.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { acquireLock, isLock, tryLock } from "../../system/file/locks.ts";
import { spaceOf } from "../../system/file/space.ts";
import { bootId } from "../../system/process/boot.ts";

export interface BlobStoreSettings {
  /** Shared by the workers of a state directory; for this user alone. */
  readonly directory: string;
  /** Of all blobs together. 0: none is kept. */
  readonly maxBytes: number;
  /** Whether images that are not resolved yet are waiting: they may want the same blobs. */
  readonly othersWait: () => boolean;
}

/** A blob of a registry. Another registry's blob of the same digest is another file: it cannot spoil this one. */
export interface StoredBlob {
  readonly registry: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** A blob that nothing has read or written for so long is deleted. */
const unusedMs = 10 * 60_000;
/** So much of the file system stays free, or a twentieth of it: unpacking needs it more. */
const leastFreeBytes = 2 ** 30;
const leastFreeShare = 0.05;
const accountPollMs = 5;

interface StoredFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly usedAtMs: number;
}

/**
 * Files of a state directory's blobs. Nothing is flushed to disk: what an earlier boot left may have holes, lies in a
 * directory of its own, and is deleted.
 */
export class BlobStore {
  readonly #settings: BlobStoreSettings;
  readonly #directory: string;

  constructor(settings: BlobStoreSettings) {
    this.#settings = settings;
    this.#directory = join(settings.directory, bootId());
  }

  /** Whether other images may want what one fetches now. */
  get othersWait(): boolean {
    return this.#settings.othersWait();
  }

  /** Where the blob's bytes are while it is kept; complete when the file is as long as the blob. */
  pathOf({ registry, digest, sizeBytes }: StoredBlob): string {
    const place = createHash("sha256").update(registry).digest("hex").slice(0, 16);
    return join(this.#directory, `${place}-${digest.slice("sha256:".length)}-${sizeBytes}`);
  }

  /** Held by the one process that fetches the blob. */
  lockPathOf(blob: StoredBlob): string {
    return `${this.pathOf(blob)}.lock`;
  }

  /**
   * Makes the blob's empty file. False when there is no room for it: the limit is reached with blobs that are being
   * fetched, or the file system is nearly full. The caller holds the blob's lock.
   */
  async reserve(blob: StoredBlob, signal: AbortSignal | undefined): Promise<boolean> {
    const { maxBytes } = this.#settings;
    if (blob.sizeBytes > maxBytes) return false;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    using _account = await acquireLock(join(this.#directory, "account.lock"), { signal, pollMs: accountPollMs });
    const { freeBytes, totalBytes } = await spaceOf(this.#directory);
    if (freeBytes - blob.sizeBytes < Math.max(leastFreeBytes, totalBytes * leastFreeShare)) return false;
    if (!this.#makeRoom(maxBytes - blob.sizeBytes)) return false;
    closeSync(openSync(this.pathOf(blob), "wx", 0o600));
    return true;
  }

  /** Deletes what earlier boots left and what was not used lately; `all`: what no process is fetching. Never throws. */
  trim({ all = false } = {}): void {
    try {
      for (const name of namesIn(this.#settings.directory)) {
        if (name !== bootId()) rmSync(join(this.#settings.directory, name), { recursive: true, force: true });
      }
      const untilMs = Date.now() - unusedMs;
      for (const file of this.#files()) if (all || file.usedAtMs < untilMs) deleteUnlessFetched(file);
      for (const name of namesIn(this.#directory))
        if (name.endsWith(".lock")) deleteStaleLock(join(this.#directory, name));
    } catch {
      // What cannot be deleted now is tried again after the next image, and counts as used space until then.
    }
  }

  #makeRoom(forBytes: number): boolean {
    const files = this.#files().sort((one, other) => one.usedAtMs - other.usedAtMs);
    let usedBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const file of files) {
      if (usedBytes <= forBytes) break;
      if (deleteUnlessFetched(file)) usedBytes -= file.sizeBytes;
    }
    return usedBytes <= forBytes;
  }

  #files(): StoredFile[] {
    return namesIn(this.#directory).flatMap((name) => {
      const sizeBytes = /^[0-9a-f]{16}-[0-9a-f]{64}-(\d+)$/.exec(name)?.[1];
      const path = join(this.#directory, name);
      const found: Stats | undefined = sizeBytes === undefined ? undefined : lstatSync(path, { throwIfNoEntry: false });
      return found === undefined ? [] : [{ path, sizeBytes: Number(sizeBytes), usedAtMs: found.mtimeMs }];
    });
  }
}

/** A reader that has the file open reads on. What cannot be deleted keeps nothing else from that. */
function deleteUnlessFetched({ path }: StoredFile): boolean {
  try {
    const lock = tryLock(`${path}.lock`, String(process.pid));
    if (!isLock(lock)) return false;
    using _lock = lock;
    rmSync(path, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

/** A process that was killed leaves the file of its lock. */
function deleteStaleLock(path: string): void {
  try {
    const lock = tryLock(path, String(process.pid));
    if (isLock(lock)) lock[Symbol.dispose]();
  } catch {
    // Not a file of ours: it keeps one blob from being stored, and nothing else.
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}
