// Room: supervisor. Owns work on a pool that no worker serves; each operation runs in a separate process.
import { join } from "node:path";
import { z } from "zod";
import { type Config, childEnvironment } from "../config.ts";
import { decodeFailure } from "../domain/errors.ts";
import type { Diagnosis } from "../domain/findings.ts";
import { parseResult, type RequestOf, type Result } from "../jobs/contract.ts";
import { runCommand } from "../system/process/commands.ts";
import { workerSettings } from "./workers.ts";

/** Taking down a device takes a moment, and there may be thousands. */
const timeoutMs = 30 * 60_000;

const failed = z.object({ failure: z.string() });

interface Work {
  /** A file in workers/. */
  readonly script: string;
  readonly args?: readonly string[];
  /** How long the process may take after SIGTERM to leave the pool in order. */
  readonly graceMs: number;
}

/**
 * Runs doctor. Throws what doctor throws, failed_precondition if another process has the pool. `signal` cancels it
 * after the current step; then the signal's reason is thrown.
 */
export async function examineStopped(
  config: Config,
  { repair, only }: RequestOf<"doctor">,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> {
  const args = [...(repair ? ["--repair"] : []), ...(only ?? []).map((id) => `--only=${id}`)];
  const look: Work = { script: "doctor.ts", args, graceMs: 30_000 };
  return parseResult("doctor", await run(look, config, signal)).findings;
}

/** Throws what the reset throws, failed_precondition if another process has the pool or a part of it is in use. */
export async function resetStopped(config: Config, signal: AbortSignal): Promise<Result<"reset-pool">> {
  return parseResult("reset-pool", await run({ script: "reset.ts", graceMs: 60_000 }, config, signal));
}

/** Returns what the process printed: see workers/run-process.ts. */
async function run({ script, args = [], graceMs }: Work, config: Config, signal: AbortSignal): Promise<unknown> {
  const program = ["--pdeathsig", "KILL", "--", process.execPath, join(import.meta.dir, "../../workers", script)];
  // Not as arguments, which every user of the host can read: the settings contain the password of Redis.
  const environment = childEnvironment(workerSettings(config));
  try {
    const { stdout } = await runCommand("setpriv", [...program, ...args], { environment, timeoutMs, graceMs, signal });
    const outcome: unknown = JSON.parse(stdout);
    const failure = failed.safeParse(outcome);
    if (failure.success) throw decodeFailure(failure.data.failure);
    return outcome;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
