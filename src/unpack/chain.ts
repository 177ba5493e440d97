// Room: unpack. Owns how an image's layers become a chain of committed snapshots, each unpacked only once at a time.
import { abortReason } from "../domain/cancellation.ts";
import type { DraftCopies, FsType } from "../domain/devices.ts";
import { asSnapmillError, SnapmillError } from "../domain/errors.ts";
import { type ChainId, childChainId, type SnapshotKey } from "../domain/identifiers.ts";
import type { StageTime } from "../domain/layer-stages.ts";
import { type ImageLayer, isRemote, type LayerBlob, type ResolvedImage } from "../images/image.ts";
import { reach } from "../system/faults.ts";
import { feedBlob } from "./blob-feed.ts";
import { ChainDraft } from "./chain-draft.ts";
import type { AppliedLayer, OnProgress } from "./layer.ts";
import { LayerTimes } from "./layer-times.ts";
import { type HeldTurn, inTurn } from "./layer-turns.ts";
import { inLayer } from "./layer-work.ts";
import type { PhasesMs } from "./phases.ts";
import type { ApplyRequest } from "./protocol.ts";

/** A prepared snapshot's device, ready to be mounted. */
export interface PreparedLayer {
  readonly devicePath: string;
  readonly fsType: FsType;
  readonly mountOptions: readonly string[];
  /** Where the writer can leave copies of it for `commitCopies`; undefined: not in this pool. */
  readonly copies?: DraftCopies | undefined;
}

/** A layer that the draft held as its uppermost one when the copy was made. */
export interface LayerCopy {
  readonly chainId: ChainId;
  readonly bytes: number;
  /** The file's name. */
  readonly copy: string;
}

/** What a chain needs of the pool. Reads return what is committed; the others are jobs of the pool's queue. */
export interface LayerStore {
  /** The length in bytes of the uncompressed layer when the pool holds its committed snapshot. */
  committedBytes(chainId: ChainId): number | undefined;
  /** Active snapshots that earlier attempts at this layer have left behind. */
  attempts(chainId: ChainId): readonly SnapshotKey[];
  prepare(key: SnapshotKey, parent: ChainId | undefined, chainId: ChainId, signal: AbortSignal): Promise<PreparedLayer>;
  /** Retries without end while the pool does not answer; only `signal` ends it. */
  commit(chainId: ChainId, key: SnapshotKey, bytes: number, signal: AbortSignal): Promise<void>;
  /**
   * The same for a layer that others follow on the same device: `key` goes on as an attempt at the layer `next`.
   * `failed_precondition` when there can be no checkpoint of it.
   */
  checkpoint(chainId: ChainId, key: SnapshotKey, bytes: number, next: ChainId, signal: AbortSignal): Promise<void>;
  /** The same for several layers, lowest first, of each of which there is a copy. `aborted` when one is gone. */
  commitCopies(key: SnapshotKey, layers: readonly LayerCopy[], next: ChainId, signal: AbortSignal): Promise<void>;
  /**
   * Removes an attempt, waiting for a bounded time while its device is still busy. Never throws: an attempt's key is not
   * used again, and what cannot be removed now is removed later by the pool's sweep.
   */
  discard(key: SnapshotKey): Promise<void>;
}

export interface LayerWriter {
  apply(request: ApplyRequest, options: { signal: AbortSignal; onProgress: OnProgress }): Promise<AppliedLayer>;
  /** Unmounts what a layer with `keepsMount` was applied to. Never throws. */
  release(): Promise<void>;
}

export interface ChainedLayer {
  readonly layer: ImageLayer<LayerBlob>;
  readonly chainId: ChainId;
  readonly bytes: number;
  readonly cached: boolean;
  readonly ms: number;
  /**
   * Where the time went; undefined when the layer was not unpacked here. `snapshot`: what it waited for the jobs prepare,
   * checkpoint and commit; not the commit of copies, which waits for nothing and is waited for by none.
   */
  readonly spentMs: (PhasesMs & { readonly snapshot: number }) | undefined;
}

export interface ChainOptions {
  readonly store: LayerStore;
  readonly writer: LayerWriter;
  /** Directory of the locks, one file a chain ID. */
  readonly lockDir: string;
  readonly spaceGuards: ApplyRequest["spaceGuards"];
  /** Ends the work at once. */
  readonly signal: AbortSignal;
  /** Ends it only where no work is lost: before a layer, and while another process has the layer's lock. */
  readonly handOver: AbortSignal;
  readonly onProgress: (layerIndex: number, progress: LayerProgress) => void;
  /** Called with each layer that is in the pool, lowest first. */
  readonly onLayer?: (layer: ChainedLayer) => void;
}

export interface LayerProgress {
  readonly state: LayerState;
  readonly readBytes: number;
  /** Of the stages that have begun. */
  readonly stages: readonly StageTime[];
}

export type LayerState = "waiting" | "unpacking" | "unpacked" | "cached";

/** The chain ID of every layer, bottom first. */
export function chainIdsOf(layers: readonly Pick<ImageLayer, "diffId">[]): ChainId[] {
  const chainIds: ChainId[] = [];
  for (const { diffId } of layers) chainIds.push(childChainId(chainIds.at(-1), diffId));
  return chainIds;
}

/**
 * Unpacks the layers of `image` that the pool does not hold, bottom first; returns all layers with their chain IDs. A
 * failure names image and layer, and leaves nothing of the layer that failed; layers below it stay committed.
 */
export async function unpackChain(image: ResolvedImage<LayerBlob>, options: ChainOptions): Promise<ChainedLayer[]> {
  const inPool = new Map<ChainId, ChainedLayer>();
  const onLayer = (layer: ChainedLayer) => {
    if (inPool.has(layer.chainId)) return;
    inPool.set(layer.chainId, layer);
    options.onLayer?.(layer);
  };
  const unpackWith = async (draft: ChainDraft) => {
    try {
      return await unpackInTurn(image, { ...options, onLayer, draft });
    } finally {
      await draft.discard();
    }
  };
  const draft = new ChainDraft(options);
  try {
    return await unpackWith(draft);
  } catch (error) {
    if (!draft.lackedRoom) throw error;
    // A layer that is committed in its turn is tried once more when no other is in flight.
    const chained = await unpackWith(new ChainDraft({ ...options, copies: "none" }));
    return chained.map((layer) => inPool.get(layer.chainId) ?? layer);
  }
}

interface DraftedOptions extends ChainOptions {
  readonly draft: ChainDraft;
}

async function unpackInTurn(image: ResolvedImage<LayerBlob>, options: DraftedOptions): Promise<ChainedLayer[]> {
  const chainIds = chainIdsOf(image.layers);
  const inPool: Promise<ChainedLayer>[] = [];
  try {
    for (const [index, layer] of image.layers.entries()) {
      const chainId = chainIds[index] as ChainId;
      const above = aboveOf(image, chainIds, index);
      const place = { layer, chainId, parent: chainIds[index - 1], index, above };
      const { done } = await naming(place, image, () => inLayer(layer, () => unpackLayer(place, options)));
      inPool.push(told(naming(place, image, () => done)));
    }
  } catch (error) {
    // When a layer below could not be committed, that is why this one failed.
    await Promise.all(inPool);
    throw error;
  }
  const chained = await Promise.all(inPool);
  reach("unpack.chained");
  return chained;

  function told(layer: Promise<ChainedLayer>): Promise<ChainedLayer> {
    const tell = async () => {
      const done = await layer;
      options.onLayer?.(done);
      return done;
    };
    const known = tell();
    // It is waited for only when all layers are written.
    known.catch(() => undefined);
    return known;
  }
}

/** Has a failure say which layer of the image it is of. */
async function naming<T>(
  { layer, index }: LayerInChain,
  image: ResolvedImage<LayerBlob>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = asSnapmillError(error);
    const position = `layer ${index + 1} of ${image.layers.length} (${layer.digest})`;
    throw new SnapmillError(code, `${image.reference}: ${position}: ${message}`, { cause: error });
  }
}

interface LayerInChain {
  readonly layer: ImageLayer<LayerBlob>;
  readonly chainId: ChainId;
  readonly parent: ChainId | undefined;
  readonly index: number;
  readonly above: Above | undefined;
}

interface Above {
  readonly layer: ImageLayer<LayerBlob>;
  readonly chainId: ChainId;
}

function aboveOf({ layers }: ResolvedImage<LayerBlob>, chainIds: readonly ChainId[], index: number): Above | undefined {
  const [layer, chainId] = [layers[index + 1], chainIds[index + 1]];
  return layer === undefined || chainId === undefined ? undefined : { layer, chainId };
}

/** Returns once the next layer can be begun; `done` resolves when the pool has this one. */
async function unpackLayer(
  place: LayerInChain,
  options: DraftedOptions,
): Promise<{ readonly done: Promise<ChainedLayer> }> {
  const startedAt = performance.now();
  const { layer, chainId, index } = place;
  const times = new LayerTimes();
  const tell: Tell = (state, readBytes) => options.onProgress(index, { state, readBytes, stages: times.list });
  const finished = (bytes: number, spentMs?: ChainedLayer["spentMs"]): ChainedLayer => {
    const cached = spentMs === undefined;
    tell(cached ? "cached" : "unpacked", layer.blob.lengthBytes);
    return { layer, chainId, bytes, cached, ms: Math.round(performance.now() - startedAt), spentMs };
  };

  const { store, draft, lockDir } = options;
  const held = store.committedBytes(chainId);
  if (held !== undefined) {
    await draft.discard();
    return { done: Promise.resolve(finished(held)) };
  }

  times.begin("wait");
  tell("waiting", 0);
  const waiting = AbortSignal.any([options.signal, options.handOver]);
  waiting.throwIfAborted();
  const turn = { lockDir, chainId, waiting, taken: draft.takeLock(), own: () => draft.lockPaths() };
  return await inTurn(turn, async (lock) => {
    times.end("wait");
    reach("unpack.locked");
    // The lock's last holder may have unpacked the layer, or died while doing so: its commit may be done only now.
    for (const key of store.attempts(chainId)) if (key !== draft.key) await store.discard(key);
    const heldNow = store.committedBytes(chainId);
    if (heldNow !== undefined) {
      await draft.discard();
      return { done: Promise.resolve(finished(heldNow)) };
    }

    const { bytes, spentMs, committed } = await unpackUnderLock(place, { ...options, times, tell, lock });
    const isCommitted = () => {
      times.end("commit");
      return finished(bytes, spentMs);
    };
    return { done: committed.then(isCommitted) };
  });
}

interface Unpacked extends Required<Pick<ChainedLayer, "bytes" | "spentMs">> {
  readonly committed: Promise<void>;
}

type Tell = (state: LayerState, readBytes: number) => void;

interface TimedOptions extends DraftedOptions {
  readonly times: LayerTimes;
  /** With the times as they are. */
  readonly tell: Tell;
  /** The layer's. */
  readonly lock: HeldTurn;
}

async function unpackUnderLock(place: LayerInChain, options: TimedOptions): Promise<Unpacked> {
  const { layer, chainId, parent, above } = place;
  const { signal, draft, times, tell, lock } = options;
  signal.throwIfAborted();
  let isApplied = false;
  try {
    const startedAt = performance.now();
    const prepared = draft.prepared ?? (await times.during("prepare", () => draft.begin(chainId, parent)));
    const preparedAt = performance.now();
    tell("unpacking", 0);
    const continuation = await draft.continuation(above?.chainId);
    const kept = { keepsMount: continuation !== undefined, copy: continuation?.copy };
    const { bytes, spentMs } = await applyLayer(place, { ...prepared, ...kept }, options);
    isApplied = true;
    const appliedAt = performance.now();
    reach("unpack.applied");
    times.begin("commit");
    tell("unpacking", layer.blob.lengthBytes);
    const { ended: committed } = await draft.commit({ chainId, bytes, continuation, held: lock });
    const snapshot = preparedAt - startedAt + performance.now() - appliedAt;
    return { bytes, spentMs: { ...spentMs, snapshot }, committed };
  } catch (error) {
    // The commit of a finished layer may still be queued, and be executed after this process has ended.
    if (isApplied && abortReason(signal)?.kind === "stopping") draft.leave();
    else await draft.discard();
    throw error;
  }
}

/** A remote blob is fetched only while its chain ID is locked, so that it is fetched once. */
async function applyLayer(
  place: LayerInChain,
  { copies: _copies, ...prepared }: PreparedLayer & Pick<ApplyRequest, "keepsMount" | "copy">,
  { store, writer, signal, spaceGuards, times, tell }: TimedOptions,
): Promise<AppliedLayer> {
  const { layer } = place;
  if (isRemote(layer.blob)) times.begin("fetch");
  await using feed = await feedBlob(layer);
  void feed.fetched?.then(() => times.end("fetch"));
  const { digest, diffId } = layer;
  const request = { ...prepared, ...feed.source, digest, diffId, spaceGuards, next: nextOf(place, store) };
  try {
    const applied = await writer.apply(request, {
      signal,
      onProgress: (readBytes, phases, isFlushing) => {
        times.take(phases, isFlushing);
        tell("unpacking", readBytes);
      },
    });
    times.take(applied);
    await feed.complete();
    return applied;
  } catch (error) {
    throw await feed.explain(error);
  }
}

/** What the writer can read ahead: the layer above, unless the pool holds it. */
function nextOf({ above }: LayerInChain, store: LayerStore): ApplyRequest["next"] {
  if (above === undefined || store.committedBytes(above.chainId) !== undefined) return undefined;
  const { blob, compression } = above.layer;
  return isRemote(blob) ? undefined : { blob, compression };
}
