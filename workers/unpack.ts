// Room: workers. Owns the unpack worker: it takes jobs of the pool's unpack queue, one image each; a writer process writes.
import { childEnvironment, paths, readConfig, redisUrl, registrySettings } from "../src/config.ts";
import {
  asSnapmillError,
  failedPrecondition,
  isRetryable,
  isSnapmillError,
  type SnapmillError,
} from "../src/domain/errors.ts";
import { type OperationId, snapshotKey } from "../src/domain/identifiers.ts";
import { formatSize } from "../src/domain/units.ts";
import { chooseDriver, spaceSourcesOf } from "../src/drivers/open.ts";
import type { LayerBlob, ResolvedImage } from "../src/images/image.ts";
import { Registries } from "../src/images/registry/registries.ts";
import { openImage } from "../src/images/resolve.ts";
import { isMisaddressed } from "../src/jobs/claims/addressee.ts";
import type { Arguments, Payload, UnpackedImage, UnpackProgress } from "../src/jobs/contract.ts";
import { JobClient } from "../src/jobs/requests/client.ts";
import { consumeUnpackJobs } from "../src/jobs/worker/consumer.ts";
import type { JobContext } from "../src/jobs/worker/job-context.ts";
import { createLogger } from "../src/logger.ts";
import { openDatabase } from "../src/metadata/database.ts";
import { countPending } from "../src/metadata/outbox.ts";
import { announceReady, announceRefusal } from "../src/supervisor/ready.ts";
import { armFault, reach } from "../src/system/faults.ts";
import { type ChainedLayer, unpackChain } from "../src/unpack/chain.ts";
import type { SpaceGuardRequest } from "../src/unpack/protocol.ts";
import { startWriter } from "../src/unpack/writer.ts";
import { CancelWatch } from "./cancel-watch.ts";
import { claimHolder } from "./claim-holder.ts";
import { createLayerStore, removedMeanwhile } from "./layer-store.ts";
import { callPatiently } from "./pool-calls.ts";
import { untilSignalled } from "./run-process.ts";

const config = readConfig();
armFault(config.fault);
const log = createLogger({ name: "unpack", level: config.logLevel });

/** How long a cancelled job may take to end (kill its writer, remove its snapshot) before this worker is replaced. */
const cancelGraceMs = 20_000;

/** How often the blobs that nothing uses any more are looked for. */
const blobTrimMs = 60_000;

const resources = new AsyncDisposableStack();
const database = resources.use(openDatabase(paths.database(config), { mode: "readonly" }));
const holder = claimHolder(config, database);
const client = resources.use(
  await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool, database: holder.database }),
);
const cancelWatch = resources.use(
  new CancelWatch({ databasePath: paths.database(config), graceMs: cancelGraceMs }, log),
);
const registries = new Registries({
  ...registrySettings(config),
  blobs: {
    directory: paths.blobs(config),
    maxBytes: config.blobCacheBytes,
    othersWait,
  },
});
resources.defer(trimBlobs());
const writer = resources.use(startWriter({ environment: childEnvironment({}) }));

/** A layer stops when less than this is free: on a full host a sparse pool file loses writes, and so does a full pool. */
const minFreeBytes = { host: 256 * 2 ** 20, pool: 64 * 2 ** 20 } as const;

/** Now and from time to time; at the end all blobs go when no image waits for them. */
function trimBlobs(): () => void {
  registries.trimBlobs();
  const timer = setInterval(() => registries.trimBlobs(), blobTrimMs);
  return () => {
    clearInterval(timer);
    registries.trimBlobs({ all: !othersWait(0) });
  };
}

/** Whether more than `count` images are accepted and not unpacked; where that cannot be read, they may be. */
function othersWait(count = 1): boolean {
  try {
    return countPending(database, "unpack") > count;
  } catch {
    return true;
  }
}

async function handle(payload: Payload<"unpack">, job: JobContext): Promise<UnpackedImage> {
  const { operationId, reference } = payload;
  let unpacked: UnpackedImage;
  try {
    unpacked = await unpackUnlessCancelled(payload, job);
  } catch (error) {
    const failure = asSnapmillError(error);
    log.warn({ operationId, reference, code: failure.code }, failure.message);
    if (isRetryable(failure.code) || isMisaddressed(failure)) throw failure;
    // While this worker stops, or when another one may have the job, that worker's outcome counts.
    await job.requireOwn();
    await settle(operationId, { kind: "failed", reason: failure.message }, job.stopping);
    throw failure;
  }
  try {
    await settle(operationId, { kind: "unpacked", image: unpacked }, job.stopping);
  } catch (error) {
    throw isSnapmillError(error, "not_found") ? removedMeanwhile(error) : error;
  }
  reach("unpack.settled");
  return unpacked;
}

/** Retries without end: an image must not be unpacked twice because the pool's worker was away. */
async function settle(
  unpackOperationId: OperationId,
  outcome: Arguments<"settle-unpack">["outcome"],
  signal: AbortSignal,
): Promise<void> {
  const onFailure = (failure: SnapmillError) => tellFailure("settle-unpack", failure);
  const patience = { awayMs: Number.POSITIVE_INFINITY, signal, onFailure };
  await callPatiently(client, "settle-unpack", { unpackOperationId, outcome }, patience);
}

async function unpackUnlessCancelled(
  { operationId, reference, platform, registry = {} }: Payload<"unpack">,
  job: JobContext,
): Promise<UnpackedImage> {
  using watched = await cancelWatch.watch(operationId);
  const signal = AbortSignal.any([job.stopping, watched.signal]);
  try {
    signal.throwIfAborted();
    await using image = await openImage(reference, platform, { signal, registries, registry });
    reach("unpack.resolved");
    return await unpack(image, { operationId, job, signal });
  } catch (error) {
    if (watched.signal.aborted) throw cancelled(reference);
    throw job.stopping.aborted ? job.stopping.reason : error;
  }
}

const tellFailure = (operation: string, failure: SnapmillError): void =>
  log.warn({ code: failure.code }, `${operation} is retried: ${failure.message}`);

interface Unpack {
  readonly operationId: OperationId;
  readonly job: JobContext;
  readonly signal: AbortSignal;
}

async function unpack(image: ResolvedImage<LayerBlob>, { operationId, job, signal }: Unpack): Promise<UnpackedImage> {
  const progress: UnpackProgress = {
    layers: image.layers.map(({ digest, blob }) => ({
      digest,
      state: "waiting",
      compressedBytes: blob.lengthBytes,
      readBytes: 0,
    })),
  };
  const layers = await unpackChain(image, {
    store: createLayerStore({
      database,
      client,
      operationId,
      image: image.reference,
      onLeftBehind: (key, error) =>
        log.warn({ key, err: error }, "an unfinished layer could not be removed; the pool's sweep will remove it"),
      onFailure: tellFailure,
    }),
    writer,
    lockDir: paths.chainLocks(config),
    spaceGuards: await spaceGuards(),
    signal,
    // A lost lock does not discard a layer that is half written: it is finished, and the next one is not begun.
    handOver: job.signal,
    onProgress: (index, state, readBytes) => {
      const layer = progress.layers[index];
      if (layer === undefined) return;
      Object.assign(layer, { state, readBytes });
      void job.progress(progress);
    },
  });
  for (const [index, layer] of layers.entries())
    void job.log(accountOf(layer, `layer ${index + 1} of ${layers.length}`));
  return describe(image, layers);
}

async function spaceGuards(): Promise<SpaceGuardRequest[]> {
  const poolDir = paths.poolDir(config);
  const sources = await spaceSourcesOf(chooseDriver(config.driver, poolDir), poolDir);
  return sources.map(({ source, owner }) => ({ source, owner, minFreeBytes: minFreeBytes[owner] }));
}

/** A line for the job's log: how long each phase of the layer took. */
function accountOf({ bytes, ms, spentMs }: ChainedLayer, name: string): string {
  if (spentMs === undefined) return `${name}: the pool has it (${formatSize(bytes)})`;
  const parts = Object.entries(spentMs).map(([phase, partMs]) => `${phase} ${Math.round(partMs)}`);
  return `${name}: ${formatSize(bytes)} in ${ms} ms (${parts.join(", ")})`;
}

function describe(image: ResolvedImage<LayerBlob>, layers: readonly ChainedLayer[]): UnpackedImage {
  const top = layers.at(-1);
  if (top === undefined) throw failedPrecondition(`image ${image.reference} has no layers: there is nothing to unpack`);
  return {
    image: image.reference,
    platform: image.platform,
    manifestDigest: image.manifestDigest,
    chainId: top.chainId,
    snapshot: snapshotKey(top.chainId),
    layers: layers.map(({ layer, chainId, bytes, cached, ms }) => ({
      digest: layer.digest,
      diffId: layer.diffId,
      chainId,
      compressedBytes: layer.blob.lengthBytes,
      bytes,
      cached,
      ms,
    })),
  };
}

/** Final: the job is not retried. */
const cancelled = (reference: string) => failedPrecondition(`image ${reference}: cancelled by its caller`);

const consumer = await consumeUnpackJobs({
  redisUrl: redisUrl(config),
  pool: config.pool,
  holder,
  concurrency: 1,
  handlers: { unpack: handle },
  onError: (error) => log.error({ err: error }, error.message),
});
for (const warning of consumer.warnings) log.warn(warning);
announceReady();

const ending = await Promise.race([untilSignalled(), consumer.lost]);
log.info({ reason: String(ending) }, "stopping");
await consumer.closeNow();
await resources.disposeAsync();
const isLost = isSnapmillError(ending);
if (isLost) announceRefusal(ending);
// Explicitly: a library's timer would delay the end by half a second.
process.exit(isLost ? 1 : 0);
