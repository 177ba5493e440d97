// Room: unpack. Owns the draft of a chain: the active snapshot that its layers are written to, one above the other.
import { randomUUID } from "node:crypto";
import { isSnapmillError } from "../domain/errors.ts";
import { type ChainId, type SnapshotKey, snapshotKey } from "../domain/identifiers.ts";
import { inStage } from "../domain/unpack-stage.ts";
import { reach } from "../system/faults.ts";
import type { Lock } from "../system/file/locks.ts";
import type { ChainOptions, PreparedLayer } from "./chain.ts";
import { takeTurn } from "./layer-turns.ts";

interface Draft {
  readonly key: SnapshotKey;
  readonly prepared: PreparedLayer;
}

type DraftOptions = Pick<ChainOptions, "store" | "writer" | "lockDir" | "signal" | "handOver">;

/**
 * One active snapshot, and one mount, for as many layers as possible: each but the last is committed by a checkpoint.
 * Between two layers the draft has the lock of the next one, so that no other process takes its snapshot for abandoned.
 */
export class ChainDraft {
  readonly #options: DraftOptions;
  #draft: Draft | undefined;
  /** Of the next layer. */
  #lock: Lock | undefined;
  #canCheckpoint = true;

  constructor(options: DraftOptions) {
    this.#options = options;
  }

  /** The snapshot's, if there is one. */
  get key(): SnapshotKey | undefined {
    return this.#draft?.key;
  }

  get prepared(): PreparedLayer | undefined {
    return this.#draft?.prepared;
  }

  /** The lock of the layer that the draft waits for, which the caller then has to release. */
  takeLock(): Lock | undefined {
    const lock = this.#lock;
    this.#lock = undefined;
    return lock;
  }

  /** A new draft on `parent`, for that layer and those above it. */
  async begin(chainId: ChainId, parent: ChainId | undefined): Promise<PreparedLayer> {
    const { store, signal } = this.#options;
    // Unique to the attempt: a writer that outlives its attempt writes to a device that will not be used.
    const key = snapshotKey(`unpack/${chainId}/${randomUUID()}`);
    try {
      const prepared = await inStage("prepare", () => store.prepare(key, parent, chainId, signal));
      this.#draft = { key, prepared };
      reach("unpack.prepared");
      return prepared;
    } catch (error) {
      // It may have been prepared all the same.
      await store.discard(key);
      throw error;
    }
  }

  /** The layer that the draft can go on with: the one `above`, unless the pool has it. */
  nextOf(above: ChainId | undefined): ChainId | undefined {
    if (above === undefined || !this.#canCheckpoint) return undefined;
    return this.#options.store.committedBytes(above) === undefined ? above : undefined;
  }

  /**
   * Commits the layer that was written last. With `next`, by a checkpoint if it can be: the draft then goes on with that
   * layer. Otherwise, there is no draft afterwards.
   */
  async commit(chainId: ChainId, bytes: number, next: ChainId | undefined): Promise<void> {
    const { store, writer, signal } = this.#options;
    const key = this.#draft?.key;
    if (key === undefined) return;
    if (next !== undefined) {
      if (await this.#checkpoint({ chainId, key, bytes, next })) return;
      await writer.release();
    }
    await inStage("commit", () => store.commit(chainId, key, bytes, signal));
    this.#draft = undefined;
    reach("unpack.committed");
  }

  /**
   * False when the next layer is another process's or in the pool by now, when it is not begun here, and when no checkpoint
   * can be had.
   */
  async #checkpoint({ chainId, key, bytes, next }: Written): Promise<boolean> {
    const { store, lockDir, signal, handOver } = this.#options;
    if (handOver.aborted) return false;
    using scope = new DisposableStack();
    try {
      const lock = takeTurn({ lockDir, chainId: next });
      if (lock === undefined) return false;
      scope.use(lock);
      if (store.committedBytes(next) !== undefined) return false;
      for (const attempt of store.attempts(next)) await store.discard(attempt);
      await inStage("commit", () => store.checkpoint(chainId, key, bytes, next, signal));
      this.#lock = lock;
      scope.move();
    } catch (error) {
      if (!isSnapmillError(error, "failed_precondition")) throw error;
      this.#canCheckpoint = false;
      return false;
    }
    reach("unpack.checkpointed");
    return true;
  }

  /** Discards what came since the last checkpoint. */
  async discard(): Promise<void> {
    const { store, writer } = this.#options;
    using _lock = this.takeLock();
    const key = this.#draft?.key;
    this.#draft = undefined;
    if (key === undefined) return;
    await writer.release();
    await store.discard(key);
  }

  /** Forgets the draft, which the pool's sweep removes. */
  leave(): void {
    this.takeLock()?.[Symbol.dispose]();
    this.#draft = undefined;
  }
}

interface Written {
  readonly chainId: ChainId;
  readonly key: SnapshotKey;
  readonly bytes: number;
  readonly next: ChainId;
}
