// Room: workers. Owns the one worker of a pool: its lock, its database, its devices, and its jobs, executed in order.
import { type Config, paths, poolSettings, readConfig, redisUrl, wantsTraces } from "../src/config.ts";
import { batchLimits } from "../src/domain/batches.ts";
import { isSnapmillError } from "../src/domain/errors.ts";
import { type Diagnosis, findingKinds } from "../src/domain/findings.ts";
import { freshOperationId } from "../src/domain/identifiers.ts";
import { describeHold } from "../src/domain/queues.ts";
import { observed } from "../src/domain/tally.ts";
import { createDriver, recordedDriver } from "../src/drivers/open.ts";
import { describeClaim } from "../src/jobs/claims/pool-claims.ts";
import { type Consumer, checkClaimable, consumePoolJobs } from "../src/jobs/worker/consumer.ts";
import { journaledHandlers, type PoolHandlers } from "../src/jobs/worker/handlers.ts";
import { createLogger } from "../src/logger.ts";
import { type Database, openDatabase, writeTrouble } from "../src/metadata/database.ts";
import { lastTakeOver, readPool } from "../src/metadata/pool.ts";
import { unpackHold } from "../src/metadata/queue-holds.ts";
import { answerReadBatch } from "../src/service/batches.ts";
import { hasContent } from "../src/snapshotter/lost-pool.ts";
import { createSnapshotter, type Snapshotter } from "../src/snapshotter/snapshotter.ts";
import { NotedCrashGuard } from "../src/snapshotter/strikes.ts";
import { announceReady } from "../src/supervisor/ready.ts";
import { armFault, reach } from "../src/system/faults.ts";
import { openNote, readNote } from "../src/system/file/note.ts";
import { identityOf } from "../src/system/process/process-facts.ts";
import { startTelemetry } from "../src/telemetry/start.ts";
import { claimHolder } from "./claim-holder.ts";
import { Outbox } from "./outbox.ts";
import { isChainAbandoned, lockPool, sweepLocks } from "./pool-locks.ts";
import { attemptRemoval } from "./removal-attempt.ts";
import { runProcess } from "./run-process.ts";

/** How many jobs BullMQ delivers ahead of time; they are still executed one after the other. */
const prefetchedJobs = 32;
const cleanupEveryMs = 30_000;

const config = readConfig();
const { pool, takeOver } = config;
const removalPauses = { firstMs: config.removeFirstPauseMs, capMs: config.removeLongestPauseMs };
armFault(config.fault);
const log = createLogger({ name: "pool", level: config.logLevel, format: config.logFormat });
const telemetry = await startTelemetry({ process: "pool", isTraced: wantsTraces(), log });

/** The snapshotter executes the journaled jobs; after some of them, the worker has something to do as well. */
function handlersOf(database: Database, snapshotter: Snapshotter, outbox: Outbox): PoolHandlers {
  const journaled = journaledHandlers(snapshotter);
  return {
    ...journaled,
    probe: async () => ({}),
    "read-batch": async (payload) => answerReadBatch(database, payload),
    "remove-device": (payload, job) =>
      attemptRemoval(() => journaled["remove-device"](payload, job), {
        job,
        database,
        pauses: removalPauses,
        log,
      }),
    "retry-removals": async (payload, job) => {
      const result = await journaled["retry-removals"](payload, job);
      outbox.retryRemovals(payload.devices);
      return result;
    },
    "discard-removals": async (payload, job) => {
      const result = await journaled["discard-removals"](payload, job);
      outbox.forgetRemovals(payload.devices);
      return result;
    },
    "hold-queue": async (payload, job) => {
      const hold = await journaled["hold-queue"](payload, job);
      outbox.holdChanged();
      return hold;
    },
    "release-queue": async (payload, job) => {
      const released = await journaled["release-queue"](payload, job);
      outbox.holdChanged();
      return released;
    },
    cleanup: async (payload, job) => {
      const cleaned = await journaled.cleanup(payload, job);
      // Also those that cleanup has just finished: their jobs succeed, and are no longer shown as failed.
      outbox.startRemovalsOver();
      return cleaned;
    },
    doctor: async (payload, job) => {
      const result = await journaled.doctor(payload, job);
      observeFindings(result.findings);
      if (payload.repair) outbox.startRemovalsOver();
      return result;
    },
    "accept-unpack": async (payload, job) => {
      const accepted = await journaled["accept-unpack"](payload, job);
      reach("unpack.accepted");
      outbox.accepted(payload.requests);
      return accepted;
    },
  };
}

function observeFindings(findings: readonly Diagnosis[]): void {
  const left = findings.filter(({ repaired }) => !repaired);
  for (const kind of findingKinds) {
    const count = left.filter((finding) => finding.kind === kind).length;
    observed.set("snapmill_doctor_findings", { kind }, count);
  }
  observed.set("snapmill_doctor_last_run_timestamp_seconds", {}, Date.now() / 1000);
}

/** If nothing of the pool is left in its directory, its database still knows the driver. */
function driverFor({ driver }: Config, database: Database): Config["driver"] {
  const recorded = readPool(database)?.driver;
  return driver === "auto" && recorded !== undefined ? recordedDriver(recorded) : driver;
}

async function work(stopped: Promise<string>): Promise<void> {
  using _lock = await lockPool(config);
  using database = openDatabase(paths.database(config), { mode: "readwrite" });
  // A new database must not make a pool whose name belongs to another one. An older database recovers its pool in any case.
  if (lastTakeOver(database) === undefined) await checkClaimable({ redisUrl: redisUrl(config), pool, takeOver });
  using note = openNote(paths.poolNote(config));
  const crashGuard = new NotedCrashGuard({
    database,
    parent: identityOf(process.ppid),
    note,
    left: readNote(paths.poolNote(config)),
  });
  const driver = createDriver({
    ...poolSettings(config),
    driver: driverFor(config, database),
    onNotice: (sentence) => log.info(sentence),
  });
  await driver.open({ mustExist: hasContent(database) });
  let outbox: Outbox | undefined;
  let consumer: Consumer | undefined;
  const consume = async (snapshotter: Snapshotter, itsOutbox: Outbox) => {
    consumer = await consumePoolJobs({
      redisUrl: redisUrl(config),
      pool,
      holder: claimHolder(config, database),
      takeOver,
      concurrency: prefetchedJobs,
      removalPauses,
      handlers: handlersOf(database, snapshotter, itsOutbox),
      onError: (error) => log.error({ err: error }, error.message),
    });
    return consumer;
  };
  try {
    const snapshotter = createSnapshotter({
      database,
      driver,
      pool,
      assertAwake: () => consumer?.assertAwake(),
      fsType: config.fsType,
      ...(config.fsOptions !== undefined && { fsOptions: config.fsOptions }),
      deviceSizeBytes: config.deviceSizeBytes,
      maxDeviceSizeBytes: config.maxDeviceSizeBytes,
      asyncRemove: config.asyncRemove,
      crashGuard,
      onRemovalQueued: () => setImmediate(() => outbox?.removalsWritten()),
      onUnpackQueued: () => setImmediate(() => outbox?.unpacksWritten()),
      defaultParallel: Math.min(2 * config.unpackWorkers, batchLimits.parallel),
      isChainAbandoned: (chain) => isChainAbandoned(config, chain),
      onNotice: (sentence) => log.warn(sentence),
    });
    const report = await snapshotter.recover();
    for (const line of report.lines) log.info(line);
    const cleanUp = async () => {
      try {
        await snapshotter.sweep(freshOperationId());
        sweepLocks(paths.chainLocks(config));
      } catch (error) {
        // Neither start nor stop depends on it.
        log.warn({ err: error }, "cleanup did not finish; it will be tried again");
      }
    };
    await cleanUp();
    outbox = new Outbox({ database, snapshotter, config, log });
    const working = { snapshotter, outbox, consumer: await consume(snapshotter, outbox) };
    await serve(working, cleanUp, { database, stopped });
    note.remove();
  } finally {
    const { stillInUse } = await driver.close();
    for (const sentence of stillInUse) log.warn(sentence);
  }
}

interface Working {
  readonly snapshotter: Snapshotter;
  readonly outbox: Outbox;
  readonly consumer: Consumer;
}

/** Serves the pool until it is stopped; throws if another database has taken over the pool's name. */
async function serve(
  { snapshotter, outbox, consumer }: Working,
  cleanUp: () => Promise<void>,
  { database, stopped }: { readonly database: Database; readonly stopped: Promise<string> },
): Promise<void> {
  const { displaced } = consumer;
  if (displaced !== undefined) log.warn(`the pool name ${pool} was taken over from ${describeClaim(displaced)}`);
  for (const warning of consumer.warnings) log.warn(warning);
  const hold = unpackHold(database);
  if (hold !== undefined) log.warn(`the pool is ${describeHold(hold)}: unpacks wait until 'snapmill resume'`);
  outbox.start();
  const cleaning = setInterval(() => void cleanUp(), cleanupEveryMs);
  announceReady(() => {
    const trouble = writeTrouble(database);
    return trouble && `cannot write to its database ${database.path}: ${trouble}`;
  });

  const ending = await Promise.race([stopped, consumer.lost]);
  log.info({ reason: String(ending) }, "stopping: running jobs are finished first");
  clearInterval(cleaning);
  await outbox.stop();
  await consumer.close();
  // An unpack that was killed shortly before the start may still have held its chain's lock during the first cleanup.
  await cleanUp();
  await snapshotter.drain();
  if (isSnapmillError(ending)) throw ending;
}

await runProcess(log, work, telemetry);
