// Room: supervisor. Owns how the project's own workers are started: their command lines and what they are given.
import { join } from "node:path";
import { type Config, childEnvironment, type Overrides, redisUrl } from "../config.ts";
import { takeOverAny } from "../jobs/claims/pool-claims.ts";
import type { ChildPlan } from "./child-plan.ts";

/** A busy or slow machine takes a while to load a worker: to kill it and begin anew would make it take longer. */
const loadedWithinMs = 5 * 60_000;

/** A worker never holds its event loop up for longer than a moment: what takes long is another thread's or process's. */
const hungAfterMs = 30_000;

const root = join(import.meta.dir, "../..");

/** A worker reads its settings from the environment: those of this process's flags are put there. */
export const workerSettings = (config: Config): Overrides => ({
  SNAPMILL_STATE_DIR: config.stateDir,
  SNAPMILL_POOL: config.pool,
  SNAPMILL_DRIVER: config.driver,
  SNAPMILL_POOL_SIZE: String(config.poolSizeBytes),
  SNAPMILL_DEVICE_SIZE: String(config.deviceSizeBytes),
  SNAPMILL_MAX_DEVICE_SIZE: String(config.maxDeviceSizeBytes),
  SNAPMILL_FS_TYPE: config.fsType,
  SNAPMILL_FS_OPTIONS: config.fsOptions?.join(" "),
  SNAPMILL_DM_CONTROL: config.dmControl,
  SNAPMILL_MIN_FREE: `${config.minFreeShare * 100}%`,
  SNAPMILL_DISCARD_BLOCKS: String(config.discardBlocks),
  SNAPMILL_ASYNC_REMOVE: String(config.asyncRemove),
  SNAPMILL_REMOVE_ATTEMPTS: String(config.removeAttempts),
  SNAPMILL_LOG_LEVEL: config.logLevel,
  SNAPMILL_FAULT: config.fault,
  // A private Redis belongs to the state directory: whatever is claimed there was claimed by a database that lay here.
  SNAPMILL_TAKE_OVER: config.redisUrl === undefined ? takeOverAny : (config.takeOver ?? ""),
  SNAPMILL_GRPC_ADDRESS: config.grpcAddress ?? "",
  REDIS_URL: redisUrl(config),
});

/**
 * Has Bun's allocator keep what was freed: by default it gives pages back to the kernel and takes them again with every
 * job, which costs a fifth of the time of each. Peaks are the same, but what a worker took at its peak it keeps.
 */
const keepingMemory: Readonly<Record<string, string>> = { MIMALLOC_PURGE_DELAY: "-1" };

function workerPlan(
  config: Config,
  script: string,
  defaults: Readonly<Record<string, string>> = {},
): Pick<ChildPlan, "argv" | "environment" | "readiness" | "hungAfterMs"> {
  return {
    argv: [process.execPath, join(root, "workers", script)],
    environment: { ...defaults, ...childEnvironment(workerSettings(config)) },
    readiness: { kind: "announced" },
    hungAfterMs,
  };
}

/** The pool's worker repairs at start what a crash left: with a large pool that takes a while. */
export const poolWorkerPlan = (config: Config): ChildPlan => ({
  ...workerPlan(config, "pool.ts", keepingMemory),
  name: "the pool worker",
  // The pool is attached (mounted) until its worker detaches it.
  endsInOrder: true,
  graceMs: 30_000,
  readyWithinMs: 10 * 60_000,
});

export const unpackWorkerPlan = (config: Config, serial: number): ChildPlan => ({
  ...workerPlan(config, "unpack.ts"),
  name: `unpack worker ${serial}`,
  graceMs: 15_000,
  readyWithinMs: loadedWithinMs,
});

/** Serves containerd at the configured address. */
export const grpcWorkerPlan = (config: Config): ChildPlan => ({
  ...workerPlan(config, "grpc.ts", keepingMemory),
  name: "the gRPC server",
  graceMs: 10_000,
  readyWithinMs: loadedWithinMs,
});
