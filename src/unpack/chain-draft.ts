// Room: unpack. Owns the draft of a chain: the active snapshot that its layers are written to, one above the other.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { isSnapmillError } from "../domain/errors.ts";
import { type ChainId, type SnapshotKey, snapshotKey } from "../domain/identifiers.ts";
import { inStage } from "../domain/unpack-stage.ts";
import { reach } from "../system/faults.ts";
import type { Lock } from "../system/file/locks.ts";
import type { ChainOptions, PreparedLayer } from "./chain.ts";
import { CopiedLayers } from "./copied-layers.ts";
import { type HeldTurn, takeTurn } from "./layer-turns.ts";
import type { CopyRequest } from "./protocol.ts";

interface Draft {
  readonly key: SnapshotKey;
  readonly prepared: PreparedLayer;
}

interface DraftOptions extends Pick<ChainOptions, "store" | "writer" | "lockDir" | "signal" | "handOver"> {
  /** Default: as the pool can. "none": each layer is in the pool before the next one is begun. */
  readonly copies?: "none" | undefined;
}

/** How the draft goes on after a layer. */
export interface Continuation {
  readonly next: ChainId;
  /** The copy that the writer is to make; undefined: the pool takes a checkpoint. */
  readonly copy: (CopyRequest & { readonly name: string }) | undefined;
}

/** A layer that is on the draft's device as a whole. */
export interface WrittenLayer {
  readonly chainId: ChainId;
  readonly bytes: number;
  /** As `continuation` returned it. */
  readonly continuation: Continuation | undefined;
  /** The layer's lock. */
  readonly held: HeldTurn;
}

/**
 * One active snapshot, and one mount, for as many layers as possible: each but the last is committed by a copy of the device
 * that the writer makes, or by a checkpoint. From before a layer is written, the draft has the lock of the next one, so that
 * no other process takes its snapshot for abandoned.
 */
export class ChainDraft {
  readonly #options: DraftOptions;
  readonly #copied: CopiedLayers;
  #draft: Draft | undefined;
  /** Of the next layer. */
  #lock: Lock | undefined;
  #canCheckpoint = true;

  constructor(options: DraftOptions) {
    this.#options = options;
    this.#copied = new CopiedLayers(options);
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

  /** Paths of the locks of layers that are written and not committed yet. */
  lockPaths(): ReadonlySet<string> {
    return this.#copied.lockPaths(this.#options.lockDir);
  }

  /** Whether the pool had no room for a layer that was copied. */
  get lackedRoom(): boolean {
    return this.#copied.failure?.code === "resource_exhausted";
  }

  /** A new draft on `parent`, for that layer and those above it. */
  async begin(chainId: ChainId, parent: ChainId | undefined): Promise<PreparedLayer> {
    const { store, signal } = this.#options;
    this.#copied.requireParents();
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

  /**
   * How the draft goes on after the layer that is about to be written: with the one `above`. Undefined when that is another
   * process's or in the pool, when it is not begun here, and when no checkpoint can be had.
   * `aborted` when a layer below it could not be committed.
   */
  async continuation(above: ChainId | undefined): Promise<Continuation | undefined> {
    const { store, lockDir, handOver } = this.#options;
    this.#copied.requireParents();
    if (above === undefined || !this.#canCheckpoint || handOver.aborted) return undefined;
    using scope = new DisposableStack();
    const lock = takeTurn({ lockDir, chainId: above });
    if (lock === undefined) return undefined;
    scope.use(lock);
    for (const attempt of store.attempts(above)) await store.discard(attempt);
    if (store.committedBytes(above) !== undefined) return undefined;
    this.#lock = lock;
    scope.move();
    return { next: above, copy: this.#copy() };
  }

  #copy(): Continuation["copy"] {
    const { file, directory } = this.#draft?.prepared.copies ?? {};
    if (file === undefined || directory === undefined || this.#options.copies === "none") return undefined;
    const name = randomUUID();
    return { name, from: file, to: join(directory, name) };
  }

  /**
   * Commits the layer that was written last; after one with a continuation, the draft goes on, otherwise there is none.
   * Returns a promise for its end once the next layer can be begun.
   */
  async commit({ chainId, bytes, continuation, held }: WrittenLayer): Promise<{ readonly ended: Promise<void> }> {
    const { store, writer, signal } = this.#options;
    const key = this.#draft?.key;
    const ended = Promise.resolve();
    if (key === undefined) return { ended };
    if (continuation?.copy !== undefined) {
      const { next, copy } = continuation;
      return { ended: this.#copied.add({ chainId, key, bytes, copy: copy.name, next, held: held.move() }) };
    }
    if (continuation !== undefined) {
      if (await this.#checkpoint(chainId, key, bytes, continuation.next)) return { ended };
      await writer.release();
    }
    await this.#copied.settle();
    await inStage("commit", () => store.commit(chainId, key, bytes, signal));
    this.#draft = undefined;
    reach("unpack.committed");
    return { ended };
  }

  /** False when the next layer is not begun here after all, and when no checkpoint can be had. */
  async #checkpoint(chainId: ChainId, key: SnapshotKey, bytes: number, next: ChainId): Promise<boolean> {
    const { store, signal, handOver } = this.#options;
    if (handOver.aborted) return false;
    try {
      await inStage("commit", () => store.checkpoint(chainId, key, bytes, next, signal));
    } catch (error) {
      if (!isSnapmillError(error, "failed_precondition")) throw error;
      this.#canCheckpoint = false;
      return false;
    }
    reach("unpack.checkpointed");
    return true;
  }

  /** Discards what was written since the last layer that was whole. */
  async discard(): Promise<void> {
    const { store, writer } = this.#options;
    using _lock = this.takeLock();
    // Why one could not be committed is told to who unpacked it.
    await this.#copied.settle().catch(() => undefined);
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
