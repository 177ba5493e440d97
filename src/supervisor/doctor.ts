// Room: supervisor. Owns the look of doctor at a pool on which nothing runs: by a process of its own.
import { join } from "node:path";
import { z } from "zod";
import { type Config, childEnvironment } from "../config.ts";
import { decodeFailure } from "../domain/errors.ts";
import type { Diagnosis } from "../domain/findings.ts";
import { parseResult } from "../jobs/contract.ts";
import { runCommand } from "../system/commands.ts";
import { workerSettings } from "./workers.ts";

const script = join(import.meta.dir, "../../workers/doctor.ts");
/** Each device that is taken down takes a moment, and there may be thousands. */
const timeoutMs = 30 * 60_000;
const outcome = z.union([z.object({ failure: z.string() }), z.object({ findings: z.unknown() })]);

/** What the process may take to leave the pool as it found it. */
const graceMs = 30_000;

/**
 * Throws what the look throws: failed_precondition while a process has the pool after all. `signal` ends it with its
 * reason, after the step that it is at.
 */
export async function examineStopped(
  config: Config,
  repair: boolean,
  signal: AbortSignal,
): Promise<readonly Diagnosis[]> {
  const dies = ["--pdeathsig", "KILL", "--"];
  const program = [...dies, process.execPath, script, ...(repair ? ["--repair"] : [])];
  // Not as an argument, which every user of the host can read: the settings hold the password of Redis.
  const environment = childEnvironment(workerSettings(config));
  const { stdout } = await runCommand("setpriv", program, { environment, timeoutMs, graceMs, signal }).catch(
    (error: unknown) => {
      signal.throwIfAborted();
      throw error;
    },
  );
  const ended = outcome.parse(JSON.parse(stdout));
  if ("failure" in ended) throw decodeFailure(ended.failure);
  return parseResult("doctor", ended).findings;
}
