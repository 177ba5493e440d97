// Room: unpack. Owns the layers of a draft that are copied and not committed yet: they are committed while it goes on.
import { aborted, asSnapmillError, type SnapmillError } from "../domain/errors.ts";
import type { ChainId, SnapshotKey } from "../domain/identifiers.ts";
import { inStage } from "../domain/unpack-stage.ts";
import { reach } from "../system/faults.ts";
import type { ChainOptions, LayerCopy } from "./chain.ts";
import { lockPath } from "./layer-turns.ts";

/** A layer, and all that the draft held when it was written. */
export interface CopiedLayer extends LayerCopy {
  readonly key: SnapshotKey;
  /** The layer that the draft goes on with. */
  readonly next: ChainId;
  /** The lock of the layer, which is held until the pool has it. */
  readonly held: Disposable;
}

interface Waiting {
  readonly layer: CopiedLayer;
  readonly committed: PromiseWithResolvers<void>;
}

/** As many as one operation commits: see `maxCopies` in contract.ts. */
const mostAtOnce = 64;

/**
 * One operation at a time commits all layers that wait for it: many small layers share its price, and no layer waits for
 * others to come. Once one has failed, all that follow fail as well, since their parent is missing.
 */
export class CopiedLayers {
  readonly #options: Pick<ChainOptions, "store" | "signal">;
  readonly #uncommitted = new Set<ChainId>();
  #waiting: Waiting[] = [];
  #committing: Promise<void> | undefined;
  #failure: SnapmillError | undefined;

  constructor(options: Pick<ChainOptions, "store" | "signal">) {
    this.#options = options;
  }

  /** Resolves when the pool has the layer. */
  add(layer: CopiedLayer): Promise<void> {
    const committed = Promise.withResolvers<void>();
    // Its caller asks only later how it went.
    committed.promise.catch(() => undefined);
    this.#uncommitted.add(layer.chainId);
    this.#waiting.push({ layer, committed });
    this.#committing ??= this.#commitAll();
    return committed.promise;
  }

  /** Paths of the locks that are held for them. */
  lockPaths(lockDir: string): ReadonlySet<string> {
    return new Set([...this.#uncommitted].map((chainId) => lockPath(lockDir, chainId)));
  }

  /** Why a layer could not be committed: what is above it cannot be either. */
  get failure(): SnapmillError | undefined {
    return this.#failure;
  }

  /** Returns when none waits any more. Throws as `requireParents` does. */
  async settle(): Promise<void> {
    await this.#committing;
    this.requireParents();
  }

  /** Throws `aborted` once a layer could not be committed: what is written above it would be lost. */
  requireParents(): void {
    if (this.#failure !== undefined) {
      throw aborted(`a layer below it could not be committed: ${this.#failure.message}`, this.#failure);
    }
  }

  async #commitAll(): Promise<void> {
    // It ends by clearing what its caller is about to set.
    await Promise.resolve();
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) {
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await inStage("commit", () => this.#commit(batch.map(({ layer }) => layer)));
        reach("unpack.checkpointed");
        this.#end(batch, ({ committed }) => committed.resolve());
      } catch (error) {
        const failure = asSnapmillError(error);
        this.#failure = failure;
        this.#end(batch, ({ committed }) => committed.reject(failure));
      }
    }
    this.#committing = undefined;
  }

  #take(): Waiting[] {
    return this.#waiting.splice(0, mostAtOnce);
  }

  async #commit(layers: readonly CopiedLayer[]): Promise<void> {
    const { store, signal } = this.#options;
    const last = layers.at(-1);
    if (last !== undefined) await store.commitCopies(last.key, layers, last.next, signal);
  }

  #end(batch: readonly Waiting[], tell: (waiting: Waiting) => void): void {
    for (const waiting of batch) {
      waiting.layer.held[Symbol.dispose]();
      this.#uncommitted.delete(waiting.layer.chainId);
      tell(waiting);
    }
  }
}
