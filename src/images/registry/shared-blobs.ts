// Room: images. Owns how one download serves several readers: what the first one fetches, the others read from a file.
import { constants, existsSync, rmSync } from "node:fs";
import { type FileHandle, open, utimes } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { aborted } from "../../domain/errors.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { isLock, type Lock, tryLock } from "../../system/file/locks.ts";
import type { BlobStore, StoredBlob } from "./blob-store.ts";

export interface SharedRead {
  readonly blob: StoredBlob;
  /** Whether the file is worth its writing. What is stored already is read in any case. */
  readonly isWanted: boolean;
  /**
   * Fetches from `offsetBytes` on. `hasher` has seen what lies before; the rest is added to it, and the whole verified
   * before the stream ends.
   */
  readonly fetch: (offsetBytes: number, hasher: Bun.CryptoHasher) => AsyncGenerator<Uint8Array>;
  readonly signal: AbortSignal | undefined;
  /** How long to wait for another process whose download makes no progress. */
  readonly patienceMs?: number;
}

const pollMs = 50;
/** Longer than silence of a registry lasts, with a pause behind it. */
const defaultPatienceMs = 90_000;
const chunkBytes = 256 << 10;

/**
 * All of a blob, verified, which at most one process fetches at a time while `isWanted`. The others read what it has
 * stored as it grows; when it gives up or dies, one of them goes on where it stopped. A store that cannot be used (a bad
 * disk, another user's file) spoils no download: the rest is fetched without it. Errors: those of `fetch`; aborted when
 * stored bytes were wrong, which are then deleted.
 */
export async function* readShared(store: BlobStore, read: SharedRead): AsyncGenerator<Uint8Array> {
  yield* new SharedReader(store, read).chunks();
}

class SharedReader {
  readonly #store: BlobStore;
  readonly #read: SharedRead;
  readonly #path: string;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  #atBytes = 0;
  #storedBytes = 0;

  constructor(store: BlobStore, read: SharedRead) {
    this.#store = store;
    this.#read = read;
    this.#path = store.pathOf(read.blob);
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#throughStore();
    } catch (error) {
      if (!(error instanceof StoreUnusable)) throw error;
      yield* this.#fetched();
    }
  }

  /** Throws StoreUnusable. */
  async *#throughStore(): AsyncGenerator<Uint8Array> {
    const { blob, signal, patienceMs = defaultPatienceMs } = this.#read;
    let progressMs = performance.now();
    for (;;) {
      signal?.throwIfAborted();
      const beforeBytes = this.#atBytes;
      yield* this.#stored();
      if (this.#atBytes === blob.sizeBytes) return await this.#verifyStored();
      if (this.#atBytes > beforeBytes) progressMs = performance.now();
      const isAlone = !this.#read.isWanted && !existsSync(this.#path);
      if (isAlone || performance.now() - progressMs > patienceMs) return yield* this.#fetched();
      const lock = await ofStore(() => tryLock(this.#store.lockPathOf(blob), JSON.stringify({ pid: process.pid })));
      if (isLock(lock)) {
        yield* this.#fetchUnder(lock);
        if (this.#atBytes === blob.sizeBytes) return;
      } else {
        await delay(pollMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** What is in the file behind the bytes that were given out. */
  async *#stored(): AsyncGenerator<Uint8Array> {
    await using file = await openIfThere(this.#path, constants.O_RDONLY);
    if (file === undefined) return;
    for (;;) {
      const leftBytes = Math.min(chunkBytes, this.#read.blob.sizeBytes - this.#atBytes);
      const { bytesRead, buffer } = await ofStore(() =>
        file.read(Buffer.alloc(leftBytes), 0, leftBytes, this.#atBytes),
      );
      if (bytesRead === 0) return;
      const chunk = buffer.subarray(0, bytesRead);
      this.#hasher.update(chunk);
      this.#atBytes += bytesRead;
      this.#storedBytes += bytesRead;
      yield chunk;
    }
  }

  /** Nothing when another process has stored more meanwhile. */
  async *#fetchUnder(lock: Lock): AsyncGenerator<Uint8Array> {
    using _lock = lock;
    const stored = await this.#openForMore();
    if (stored === "longer") return;
    if (stored === undefined) {
      // Others need not wait for bytes that they will not get.
      lock[Symbol.dispose]();
      return yield* this.#fetched();
    }
    await using file = new GrowingFile(this.#path, stored, this.#atBytes);
    for await (const chunk of this.#fetched()) {
      // Other readers need not wait for a file that does not grow any more.
      if (!(await file.append(chunk))) lock[Symbol.dispose]();
      yield chunk;
    }
  }

  /** The file, which ends at the next byte to fetch; undefined when there is none to be had. */
  async #openForMore(): Promise<FileHandle | "longer" | undefined> {
    const { blob, signal } = this.#read;
    const found = await openIfThere(this.#path, constants.O_RDWR);
    if (found !== undefined) {
      const { size } = await ofStore(() => found.stat());
      if (size === this.#atBytes) return found;
      await found.close();
      return size > this.#atBytes ? "longer" : undefined;
    }
    if (this.#atBytes > 0 || !(await this.#store.reserve(blob, signal).catch(orWithout(signal)))) return undefined;
    return openIfThere(this.#path, constants.O_RDWR);
  }

  async *#fetched(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#read.fetch(this.#atBytes, this.#hasher)) {
        this.#atBytes += chunk.length;
        yield chunk;
      }
    } catch (error) {
      if (this.#atBytes < this.#read.blob.sizeBytes) throw error;
      // All bytes came, and were the wrong ones: the file holds them, and may be where they came from.
      this.#delete();
      if (this.#storedBytes === 0) throw error;
      throw this.#wrongBytes();
    }
  }

  async #verifyStored(): Promise<void> {
    if (`sha256:${this.#hasher.digest("hex")}` === this.#read.blob.digest) {
      const now = new Date();
      await utimes(this.#path, now, now).catch(() => undefined);
      return;
    }
    this.#delete();
    throw this.#wrongBytes();
  }

  #delete(): void {
    try {
      rmSync(this.#path, { force: true });
    } catch {
      // What cannot be deleted is found wrong again, or cannot be read: neither spoils a download.
    }
  }

  #wrongBytes() {
    return aborted(
      `what was stored of the blob ${this.#read.blob.digest} was wrong, and is deleted: it is fetched again`,
    );
  }
}

/** A file that is written while it may be. A full disk ends the file, not the download. */
class GrowingFile implements AsyncDisposable {
  readonly #path: string;
  #file: FileHandle | undefined;
  #lengthBytes: number;

  constructor(path: string, file: FileHandle, lengthBytes: number) {
    this.#path = path;
    this.#file = file;
    this.#lengthBytes = lengthBytes;
  }

  /** False when the file was given up. */
  async append(chunk: Uint8Array): Promise<boolean> {
    try {
      for (let at = 0; this.#file !== undefined && at < chunk.length; ) {
        const { bytesWritten } = await this.#file.write(chunk, at, chunk.length - at, this.#lengthBytes);
        at += bytesWritten;
        this.#lengthBytes += bytesWritten;
      }
    } catch {
      if (this.#file !== undefined) rmSync(this.#path, { force: true });
      await this[Symbol.asyncDispose]();
    }
    return this.#file !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
  }
}

const orWithout = (signal: AbortSignal | undefined) => (): false => {
  signal?.throwIfAborted();
  return false;
};

/** Only within this file. */
class StoreUnusable extends Error {
  override readonly name = "StoreUnusable";
}

/** What the store's own part comes to; throws StoreUnusable for whatever it throws. */
async function ofStore<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new StoreUnusable("the store of blobs cannot be used", { cause: error });
  }
}

/** A regular file, not behind a link; what is anything else is not waited for. Throws StoreUnusable. */
const openIfThere = (path: string, access: number): Promise<FileHandle | undefined> =>
  ofStore(async () => {
    const file = await open(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: unknown) => {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    });
    if (file === undefined || (await file.stat()).isFile()) return file;
    await file.close();
    throw new Error(`${path} is not a regular file`);
  });
