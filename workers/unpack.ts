// Room: workers. Owns the unpack worker: it takes jobs of the pool's unpack queue, one image each; a writer process writes.
import { basename } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { paths, readConfig, redisUrl, registrySettings, wantsTraces } from "../src/config.ts";
import { AbortReason } from "../src/domain/cancellation.ts";
import {
  asSnapmillError,
  failedPrecondition,
  isRetryable,
  isSnapmillError,
  type SnapmillError,
} from "../src/domain/errors.ts";
import { type OperationId, parseDeviceName, snapshotKey } from "../src/domain/identifiers.ts";
import { packStages } from "../src/domain/layer-stages.ts";
import { inStage } from "../src/domain/unpack-stage.ts";
import { chooseDriver, draftCopiesOf, spaceSourcesOf } from "../src/drivers/open.ts";
import type { DriverName } from "../src/drivers/port.ts";
import type { LayerBlob, ResolvedImage } from "../src/images/image.ts";
import { orHostPlatform } from "../src/images/platform.ts";
import { Registries } from "../src/images/registry/registries.ts";
import { openImage } from "../src/images/resolve.ts";
import { isMisaddressed } from "../src/jobs/claims/addressee.ts";
import { NotMine } from "../src/jobs/claims/claim-guard.ts";
import type { Arguments, Payload, TimedProgress, UnpackAccount, UnpackedImage } from "../src/jobs/contract.ts";
import { JobClient } from "../src/jobs/requests/client.ts";
import { consumeUnpackJobs } from "../src/jobs/worker/consumer.ts";
import type { JobContext } from "../src/jobs/worker/job-context.ts";
import { createLogger } from "../src/logger.ts";
import { openDatabase } from "../src/metadata/database.ts";
import { countPending } from "../src/metadata/outbox.ts";
import { announceReady, announceRefusal } from "../src/supervisor/ready.ts";
import { writerEnvironment } from "../src/supervisor/workers.ts";
import { armFault, reach } from "../src/system/faults.ts";
import { chooseInflate } from "../src/system/inflate/choice.ts";
import { startTelemetry } from "../src/telemetry/start.ts";
import { type ChainedLayer, unpackChain } from "../src/unpack/chain.ts";
import type { SpaceGuardRequest } from "../src/unpack/protocol.ts";
import { startWriter } from "../src/unpack/writer.ts";
import { CancelWatch } from "./cancel-watch.ts";
import { claimHolder } from "./claim-holder.ts";
import { isHandedOver, watchHandOver } from "./hand-over.ts";
import {
  beginItem,
  countFailedAttempt,
  failureRecord,
  mayPassLater,
  type PatientCall,
  startTimeLimit,
  type TimeLimit,
} from "./item-attempt.ts";
import { createLayerStore, removedMeanwhile } from "./layer-store.ts";
import {
  observeFailedLayer,
  observeFailure,
  observeLayer,
  observeUnpacked,
  observingResolve,
} from "./observe-unpack.ts";
import { callPatiently } from "./pool-calls.ts";
import { imageOfName, imageOfReference } from "./recorded-image.ts";
import { resolveImage } from "./resolve-image.ts";
import { untilSignalled } from "./run-process.ts";
import { type Account, accountOf, layersBefore, lineOf } from "./unpack-account.ts";

const config = readConfig();
armFault(config.fault);
const log = createLogger({ name: "unpack", level: config.logLevel, format: config.logFormat });
const telemetry = await startTelemetry({ process: "unpack", isTraced: wantsTraces(), log });

/** How long a cancelled job may take to end (kill its writer, remove its snapshot) before this worker is replaced. */
const cancelGraceMs = 20_000;

/** How often the blobs that nothing uses any more are looked for. */
const blobTrimMs = 60_000;

const { library, reason } = chooseInflate(config.inflate);
if (reason !== undefined) log.info(`gzip is inflated by ${library}: ${reason}`);

const resources = new AsyncDisposableStack();
const database = resources.use(openDatabase(paths.database(config), { mode: "readonly" }));
const holder = claimHolder(config, database);
const client = resources.use(
  await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool, database: holder.database }),
);
const cancelWatch = resources.use(
  new CancelWatch({ databasePath: paths.database(config), graceMs: cancelGraceMs, logFormat: config.logFormat }, log),
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
const writer = resources.use(startWriter({ environment: writerEnvironment() }));

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
  const begunMs = performance.now();
  const attempt: Attempt = { payload, job, account: accountOf(payload), lines: [] };
  let unpacked: UnpackedImage;
  using handOver = watchHandOver(database);
  writer.start();
  try {
    unpacked = await unpackUnlessCancelled(attempt, handOver.signal);
  } catch (error) {
    if (isHandedOver(error)) {
      log.info({ operationId, reference }, "the pool is drained: the unpack goes back into the queue");
      throw new NotMine("the unpack queue is held");
    }
    const failure = asSnapmillError(error);
    log.warn({ operationId, reference, code: failure.code }, failure.message);
    if (isMisaddressed(failure)) throw failure;
    const concluded = await concludeFailure(attempt, failure);
    if (!job.signal.aborted) observeFailure(concluded, begunMs);
    throw concluded;
  }
  try {
    const settled = settle(attempt.account, operationId, { kind: "unpacked", image: unpacked }, job.stopping);
    await Promise.all([settled, tellRest(attempt)]);
  } catch (error) {
    throw isSnapmillError(error, "not_found") ? removedMeanwhile(error) : error;
  }
  reach("unpack.settled");
  observeUnpacked(unpacked, begunMs);
  return unpacked;
}

/** One attempt at an unpack, and how it has gone so far. */
interface Attempt {
  readonly payload: Payload<"unpack">;
  readonly job: JobContext;
  readonly account: Account;
  /** For the job's log, once all layers are there. */
  readonly lines: string[];
}

/** What only shows how it went is written while the pool's worker records the end, not before it is asked to. */
async function tellRest({ job, lines }: Attempt): Promise<void> {
  await nextTurn();
  for (const line of lines) void job.log(line);
  job.lastProgress();
}

/** Settles the unpack unless it is tried again; returns what its job fails with. */
async function concludeFailure({ payload, job, account }: Attempt, failure: SnapmillError): Promise<SnapmillError> {
  const isOfBatch = payload.batch !== undefined;
  if (!isOfBatch && isRetryable(failure.code)) return failure;
  // While this worker stops, or when another one may have the job, that worker's outcome counts.
  await job.requireOwn();
  if (isOfBatch && mayPassLater(failure)) return await countFailedAttempt(call, payload, failure, job.stopping);
  const { message: reason, code, stage } = failureRecord(failure);
  await settle(account, payload.operationId, { kind: "failed", reason, code, stage }, job.stopping);
  return failure;
}

/** Retries without end: an image must not be unpacked twice because the pool's worker was away. */
const call: PatientCall = (name, given, signal) => {
  const onFailure = (failure: SnapmillError) => tellFailure(name, failure);
  return callPatiently(client, name, given, { awayMs: Number.POSITIVE_INFINITY, signal, onFailure });
};

async function settle(
  account: UnpackAccount,
  unpackOperationId: OperationId,
  outcome: Arguments<"settle-unpack">["outcome"],
  signal: AbortSignal,
): Promise<void> {
  await call("settle-unpack", { unpackOperationId, account, outcome }, signal);
}

async function unpackUnlessCancelled(attempt: Attempt, held: AbortSignal): Promise<UnpackedImage> {
  const { payload, job } = attempt;
  const { operationId, reference } = payload;
  using watched = await cancelWatch.watch(operationId);
  const wanted = AbortSignal.any([job.stopping, watched.signal]);
  let limit: TimeLimit | undefined;
  try {
    wanted.throwIfAborted();
    held.throwIfAborted();
    if (!(await beginItem(call, payload, wanted))) return unwanted(payload);
    limit = startTimeLimit(payload);
    return await resolveAndUnpack(attempt, { signal: AbortSignal.any([wanted, limit.signal]), held });
  } catch (error) {
    if (watched.signal.aborted) throw cancelled(reference);
    if (job.stopping.aborted) throw job.stopping.reason;
    throw limit?.signal.aborted === true ? limit.reason(error) : error;
  } finally {
    limit?.[Symbol.dispose]();
  }
}

async function resolveAndUnpack(
  attempt: Attempt,
  { signal, held: isHeld }: Pick<Unpack, "signal" | "held">,
): Promise<UnpackedImage> {
  const { operationId, reference, registry: given = {}, batch, ...asked } = attempt.payload;
  const { job, account, lines } = attempt;
  const registry = { ...given, group: given.group ?? batch?.batch };
  const options = { signal, registries, registry };
  const platform = orHostPlatform(asked.platform);
  if (batch !== undefined) {
    const held = await inStage("resolve", () => imageOfReference(database, { reference, platform }, options));
    if (held !== undefined) return held;
  }
  await using image = await inStage("resolve", () => observingResolve(() => openImage(reference, platform, options)));
  reach("unpack.resolved");
  return await inStage("unpack", () => unpack(image, { operationId, job, account, lines, signal, held: isHeld }));
}

/** The job of an item that has ended: its worker died, or Redis lost it, between the record of its end and the job's. */
function unwanted({ reference, platform, batch }: Payload<"unpack">): UnpackedImage {
  const image = imageOfName(database, { reference, platform: orHostPlatform(platform) });
  if (image !== undefined) return image;
  throw failedPrecondition(`image ${reference}: its batch ${batch?.batch ?? ""} does not want it any more`);
}

const tellFailure = (operation: string, failure: SnapmillError): void =>
  log.warn({ code: failure.code }, `${operation} is retried: ${failure.message}`);

interface Unpack extends Pick<Attempt, "job" | "account" | "lines"> {
  readonly operationId: OperationId;
  readonly signal: AbortSignal;
  /** Aborts when what runs is to go back into the queue. */
  readonly held: AbortSignal;
}

async function unpack(
  image: ResolvedImage<LayerBlob>,
  { operationId, job, account, lines, signal, held }: Unpack,
): Promise<UnpackedImage> {
  const handOver = AbortSignal.any([job.signal, held]);
  account.layers = layersBefore(image.layers);
  const progress: TimedProgress = { layers: account.layers };
  const poolDir = paths.poolDir(config);
  const driver = chooseDriver(config.driver, poolDir);
  const layers = await unpackChain(image, {
    store: createLayerStore({
      database,
      client,
      operationId,
      image: image.reference,
      copiesOf: (devicePath) => draftCopiesOf(driver, poolDir, parseDeviceName(basename(devicePath))),
      onLeftBehind: (key, error) =>
        log.warn({ key, err: error }, "an unfinished layer could not be removed; the pool's sweep will remove it"),
      onFailure: tellFailure,
    }),
    writer,
    lockDir: paths.chainLocks(config),
    spaceGuards: await spaceGuards(driver, poolDir),
    signal,
    // A lost lock, or a drain, does not discard a layer that is half written: it is finished, and the next is not begun.
    handOver,
    onProgress: (index, { state, readBytes, stages }) => {
      const layer = progress.layers[index];
      if (layer === undefined) return;
      Object.assign(layer, { state, readBytes, stages: packStages(stages) });
      void job.progress(progress);
    },
    onLayer: observeLayer,
  }).catch((error: unknown) => {
    if (!signal.aborted && !handOver.aborted) observeFailedLayer();
    throw error;
  });
  lines.push(...layers.map((layer, index) => lineOf(layer, `layer ${index + 1} of ${layers.length}`)));
  return describe(image, layers);
}

async function spaceGuards(driver: DriverName, poolDir: string): Promise<SpaceGuardRequest[]> {
  const sources = await spaceSourcesOf(driver, poolDir);
  return sources.map(({ source, owner }) => ({ source, owner, minFreeBytes: minFreeBytes[owner] }));
}

function describe(image: ResolvedImage<LayerBlob>, layers: readonly ChainedLayer[]): UnpackedImage {
  const top = layers.at(-1);
  if (top === undefined) throw failedPrecondition(`image ${image.reference} has no layers: there is nothing to unpack`);
  return {
    image: image.reference,
    platform: image.platform,
    manifestDigest: image.manifestDigest,
    resolvedDigest: image.resolvedDigest,
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
const cancelled = (reference: string) => {
  const message = `image ${reference}: cancelled by its caller`;
  return failedPrecondition(message, new AbortReason("cancelled", message));
};

const consumer = await consumeUnpackJobs({
  redisUrl: redisUrl(config),
  pool: config.pool,
  holder,
  concurrency: 1,
  handlers: {
    unpack: handle,
    resolve: (payload, job) => resolveImage({ config, database, registries }, payload, job.stopping),
  },
  onError: (error) => log.error({ err: error }, error.message),
});
for (const warning of consumer.warnings) log.warn(warning);
announceReady();
cancelWatch.start();

const ending = await Promise.race([untilSignalled(), consumer.lost]);
log.info({ reason: String(ending) }, "stopping");
await consumer.closeNow();
await resources.disposeAsync();
await telemetry[Symbol.asyncDispose]();
const isLost = isSnapmillError(ending);
if (isLost) announceRefusal(ending);
// Explicitly: a library's timer would delay the end by half a second.
process.exit(isLost ? 1 : 0);
