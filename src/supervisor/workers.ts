// Room: supervisor. Owns how snapmill's workers are started: their command lines and environments.
import { join } from "node:path";
import { textsOf } from "../config/resolve.ts";
import { type Config, childEnvironment, type Overrides, redisUrl } from "../config.ts";
import { takeOverAny } from "../jobs/claims/pool-claims.ts";
import type { ChildPlan } from "./child-plan.ts";

/** A slow or busy machine takes a while to load a worker; a restart would only make it take longer. */
const loadedWithinMs = 5 * 60_000;

/** A worker never blocks its event loop for longer than a moment: threads and processes do what takes long. */
const hungAfterMs = 30_000;

const root = join(import.meta.dir, "../..");

/** A worker reads its settings from the environment alone, so the values of flags and of the file are put there. */
export const workerSettings = (config: Config): Overrides => ({
  ...textsOf(config),
  SNAPMILL_CONFIG: "",
  // A private Redis belongs to the state directory: only a database that was here can have claimed a name in it.
  SNAPMILL_TAKE_OVER: config.redisUrl === undefined ? takeOverAny : (config.takeOver ?? ""),
  SNAPMILL_GRPC_ADDRESS: config.grpcAddress ?? "",
  REDIS_URL: redisUrl(config),
});

/**
 * Makes Bun's allocator keep freed pages: by default it returns them to the kernel and takes them again for every job,
 * which costs a fifth of each job's time. The peak is the same, but a worker keeps the memory that it had at its peak.
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

/**
 * Leaves out the last tier of JavaScriptCore's compilers. A writer hardly runs for long enough to gain by it, and spends
 * its time in system calls, in ISA-L and in SHA-256, while that compiler competes with its two threads for the processors.
 */
const compilingLess: Readonly<Record<string, string>> = { BUN_JSC_useFTLJIT: "false" };

/** The environment of the process that writes layers, which an unpack worker starts. */
export const writerEnvironment = (): Record<string, string> => ({ ...compilingLess, ...childEnvironment({}) });

/** At start, the pool's worker repairs what a crash left; with a large pool that takes a while. */
export const poolWorkerPlan = (config: Config): ChildPlan => ({
  ...workerPlan(config, "pool.ts", keepingMemory),
  name: "the pool worker",
  component: "pool",
  // The pool stays attached (mounted) until its worker detaches it.
  endsInOrder: true,
  graceMs: 30_000,
  readyWithinMs: 10 * 60_000,
});

export const unpackWorkerPlan = (config: Config, serial: number): ChildPlan => ({
  ...workerPlan(config, "unpack.ts"),
  name: `unpack worker ${serial}`,
  component: `unpack-${serial}`,
  graceMs: 15_000,
  readyWithinMs: loadedWithinMs,
});

/** Serves containerd at the configured address. */
export const grpcWorkerPlan = (config: Config): ChildPlan => ({
  ...workerPlan(config, "grpc.ts", keepingMemory),
  name: "the gRPC server",
  component: "grpc",
  graceMs: 10_000,
  readyWithinMs: loadedWithinMs,
});
