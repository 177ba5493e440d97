// Room: unpack. Owns how an image's layers become a chain of committed snapshots, each unpacked only once at a time.
import { abortReason } from "../domain/cancellation.ts";
import type { FsType } from "../domain/devices.ts";
import { asSnapmillError, SnapmillError } from "../domain/errors.ts";
import { type ChainId, childChainId, type SnapshotKey } from "../domain/identifiers.ts";
import type { StageTime } from "../domain/layer-stages.ts";
import { type ImageLayer, isRemote, type LayerBlob, type ResolvedImage } from "../images/image.ts";
import { reach } from "../system/faults.ts";
import { feedBlob } from "./blob-feed.ts";
import { ChainDraft } from "./chain-draft.ts";
import type { AppliedLayer, OnProgress } from "./layer.ts";
import { LayerTimes } from "./layer-times.ts";
import { inTurn } from "./layer-turns.ts";
import { inLayer } from "./layer-work.ts";
import type { PhasesMs } from "./phases.ts";
import type { ApplyRequest } from "./protocol.ts";

/** A prepared snapshot's device, ready to be mounted. */
export interface PreparedLayer {
  readonly devicePath: string;
  readonly fsType: FsType;
  readonly mountOptions: readonly string[];
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
  /** Where the time went; undefined when the layer was not unpacked here. `snapshot`: the jobs prepare, checkpoint, commit. */
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
  /** Called with each layer that is in the pool, before the next one is begun. */
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
  const draft = new ChainDraft(options);
  try {
    return await unpackInTurn(image, { ...options, draft });
  } finally {
    await draft.discard();
  }
}

interface DraftedOptions extends ChainOptions {
  readonly draft: ChainDraft;
}

async function unpackInTurn(image: ResolvedImage<LayerBlob>, options: DraftedOptions): Promise<ChainedLayer[]> {
  const chained: ChainedLayer[] = [];
  const chainIds = chainIdsOf(image.layers);
  for (const [index, layer] of image.layers.entries()) {
    const chainId = chainIds[index] as ChainId;
    try {
      const above = aboveOf(image, chainIds, index);
      const place = { layer, chainId, parent: chainIds[index - 1], index, above };
      const done = await inLayer(layer, () => unpackLayer(place, options));
      options.onLayer?.(done);
      chained.push(done);
    } catch (error) {
      const { code, message } = asSnapmillError(error);
      const position = `layer ${index + 1} of ${image.layers.length} (${layer.digest})`;
      throw new SnapmillError(code, `${image.reference}: ${position}: ${message}`, { cause: error });
    }
  }
  reach("unpack.chained");
  return chained;
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

async function unpackLayer(place: LayerInChain, options: DraftedOptions): Promise<ChainedLayer> {
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
    return finished(held);
  }

  times.begin("wait");
  tell("waiting", 0);
  const waiting = AbortSignal.any([options.signal, options.handOver]);
  waiting.throwIfAborted();
  return await inTurn({ lockDir, chainId, waiting, taken: draft.takeLock() }, async () => {
    times.end("wait");
    reach("unpack.locked");
    // The lock's last holder may have unpacked the layer, or died while doing so.
    const heldNow = store.committedBytes(chainId);
    if (heldNow !== undefined) {
      await draft.discard();
      return finished(heldNow);
    }
    for (const key of store.attempts(chainId)) if (key !== draft.key) await store.discard(key);

    const { bytes, spentMs } = await unpackUnderLock(place, { ...options, times, tell });
    return finished(bytes, spentMs);
  });
}

type Unpacked = Required<Pick<ChainedLayer, "bytes" | "spentMs">>;

type Tell = (state: LayerState, readBytes: number) => void;

interface TimedOptions extends DraftedOptions {
  readonly times: LayerTimes;
  /** With the times as they are. */
  readonly tell: Tell;
}

async function unpackUnderLock(place: LayerInChain, options: TimedOptions): Promise<Unpacked> {
  const { layer, chainId, parent, above } = place;
  const { signal, draft, times, tell } = options;
  signal.throwIfAborted();
  let isApplied = false;
  try {
    const startedAt = performance.now();
    const prepared = draft.prepared ?? (await times.during("prepare", () => draft.begin(chainId, parent)));
    const preparedAt = performance.now();
    tell("unpacking", 0);
    const next = draft.nextOf(above?.chainId);
    const { bytes, spentMs } = await applyLayer(place, { ...prepared, keepsMount: next !== undefined }, options);
    isApplied = true;
    const appliedAt = performance.now();
    reach("unpack.applied");
    times.begin("commit");
    tell("unpacking", layer.blob.lengthBytes);
    await draft.commit(chainId, bytes, next);
    times.end("commit");
    return { bytes, spentMs: { ...spentMs, snapshot: preparedAt - startedAt + performance.now() - appliedAt } };
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
  prepared: PreparedLayer & Pick<ApplyRequest, "keepsMount">,
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
