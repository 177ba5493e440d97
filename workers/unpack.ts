// Room: workers. Owns a consumer of the pool's unpack queue: an image is a job, a writer process handles its bytes.
import { childEnvironment, paths, readConfig, redisUrl } from "../src/config.ts";
import { asSnapmillError, failedPrecondition, isRetryable } from "../src/domain/errors.ts";
import { snapshotKey } from "../src/domain/identifiers.ts";
import { formatSize } from "../src/domain/units.ts";
import { chooseDriver, spaceSourcesOf } from "../src/drivers/open.ts";
import type { ResolvedImage } from "../src/images/image.ts";
import { openImage } from "../src/images/resolve.ts";
import { type Arguments, JobClient } from "../src/jobs/client.ts";
import { consumeUnpackJobs } from "../src/jobs/consumer.ts";
import type { Payload, UnpackedImage, UnpackProgress } from "../src/jobs/contract.ts";
import type { JobContext } from "../src/jobs/job-context.ts";
import { createLogger } from "../src/logger.ts";
import { openDatabase } from "../src/metadata/database.ts";
import { isCancelled } from "../src/metadata/outbox.ts";
import { announceReady } from "../src/supervisor/ready.ts";
import { armFault, reach } from "../src/system/faults.ts";
import { type ChainedLayer, unpackChain } from "../src/unpack/chain.ts";
import type { SpaceGuardRequest } from "../src/unpack/protocol.ts";
import { startWriter } from "../src/unpack/writer.ts";
import { createLayerStore } from "./layer-store.ts";
import { untilTold } from "./life.ts";

const config = readConfig();
armFault(config.fault);
const log = createLogger({ name: "unpack", level: config.logLevel });

const resources = new AsyncDisposableStack();
const database = resources.use(openDatabase(paths.database(config), { mode: "readonly" }));
const client = resources.use(await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool }));
const writer = resources.use(startWriter({ environment: childEnvironment({}) }));

/** How often a running unpack looks whether its caller has cancelled it. */
const cancelCheckMs = 250;
/** Less than this free stops a layer: a sparse pool file on a full host would lose writes, and so would a full pool. */
const minFreeBytes = { host: 256 * 2 ** 20, pool: 64 * 2 ** 20 } as const;

async function handle(payload: Payload<"unpack">, job: JobContext): Promise<UnpackedImage> {
  const { operationId, reference, platform } = payload;
  const settle = (outcome: Arguments<"settle-unpack">["outcome"]) =>
    client.call("settle-unpack", { unpackOperationId: operationId, outcome });
  using cancellation = watchForCancel(operationId);
  try {
    const signal = AbortSignal.any([job.signal, cancellation.signal]);
    signal.throwIfAborted();
    await using image = await openImage(reference, platform, { signal });
    reach("unpack.resolved");
    const unpacked = await unpack(image, job, signal);
    await settle({ kind: "unpacked", image: unpacked });
    reach("unpack.settled");
    return unpacked;
  } catch (error) {
    const failure = cancellation.signal.aborted ? cancelled(reference) : asSnapmillError(error);
    log.warn({ operationId, reference, code: failure.code }, failure.message);
    if (!isRetryable(failure.code)) await settle({ kind: "failed", reason: failure.message });
    throw failure;
  }
}

async function unpack(image: ResolvedImage, job: JobContext, signal: AbortSignal): Promise<UnpackedImage> {
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
      image: image.reference,
      onLeftBehind: (key, error) =>
        log.warn({ key, err: error }, "an attempt could not be removed; the pool's sweep will"),
    }),
    writer,
    lockDir: paths.chainLocks(config),
    spaceGuards: await spaceGuards(),
    signal,
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
  return sources.map(({ source, owner }) => ({ source, minFreeBytes: minFreeBytes[owner] }));
}

/** A line for the job's log: where the layer's time went. */
function accountOf({ bytes, ms, spentMs }: ChainedLayer, name: string): string {
  if (spentMs === undefined) return `${name}: the pool has it (${formatSize(bytes)})`;
  const parts = Object.entries(spentMs).map(([phase, partMs]) => `${phase} ${Math.round(partMs)}`);
  return `${name}: ${formatSize(bytes)} in ${ms} ms (${parts.join(", ")})`;
}

function describe(image: ResolvedImage, layers: readonly ChainedLayer[]): UnpackedImage {
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

/** Final: nobody waits for the image any more. */
const cancelled = (reference: string) => failedPrecondition(`image ${reference}: cancelled by its caller`);

/** A signal that aborts once the caller's cancellation stands in the outbox. */
function watchForCancel(operationId: Payload<"unpack">["operationId"]): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const look = () => {
    if (isCancelled(database, operationId)) controller.abort(failedPrecondition("cancelled by its caller"));
  };
  look();
  const timer = setInterval(look, cancelCheckMs);
  return { signal: controller.signal, [Symbol.dispose]: () => clearInterval(timer) };
}

const consumer = await consumeUnpackJobs({
  redisUrl: redisUrl(config),
  pool: config.pool,
  concurrency: 1,
  handler: handle,
  onError: (error) => log.error({ err: error }, error.message),
});
for (const warning of consumer.warnings) log.warn(warning);
announceReady();

log.info({ signal: await untilTold() }, "stopping");
await consumer.closeNow();
await resources.disposeAsync();
// Not by itself: a timer that a library still has would hold the end up for half a second.
process.exit();
