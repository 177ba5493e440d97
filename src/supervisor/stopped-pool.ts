// Room: supervisor. Owns work on a pool that no worker serves: each time in a process of its own.
import { join } from "node:path";
import { z } from "zod";
import { type Config, childEnvironment } from "../config.ts";
import { decodeFailure } from "../domain/errors.ts";
import type { Diagnosis } from "../domain/findings.ts";
import { parseResult, type Result } from "../jobs/contract.ts";
import { runCommand } from "../system/process/commands.ts";
import { workerSettings } from "./workers.ts";

/** Each device that is taken down takes a moment, and there may be thousands. */
const timeoutMs = 30 * 60_000;

const failed = z.object({ failure: z.string() });

interface Work {
  /** In workers/. */
  readonly script: string;
  readonly args?: readonly string[];
  /** How long the process may take, after SIGTERM, to leave the pool in order. */
  readonly graceMs: number;
}

/**
 * Doctor's look. Throws what the look throws: failed_precondition while a process has the pool after all. `signal` ends it
 * with its reason, after the step that it is at.
 */
export async function examineStopped(
  config: Config,
  repair: boolean,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> {
  const look: Work = { script: "doctor.ts", args: repair ? ["--repair"] : [], graceMs: 30_000 };
  return parseResult("doctor", await run(look, config, signal)).findings;
}

/** Throws what the reset throws: failed_precondition while a process has the pool after all, or something of it is in use. */
export async function resetStopped(config: Config, signal: AbortSignal): Promise<Result<"reset-pool">> {
  return parseResult("reset-pool", await run({ script: "reset.ts", graceMs: 60_000 }, config, signal));
}

/** What the process printed: see workers/run-process.ts. */
async function run({ script, args = [], graceMs }: Work, config: Config, signal: AbortSignal): Promise<unknown> {
  const program = ["--pdeathsig", "KILL", "--", process.execPath, join(import.meta.dir, "../../workers", script)];
  // Not as arguments, which every user of the host can read: the settings hold the password of Redis.
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
