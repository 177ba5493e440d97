// Room: supervisor. Owns the reset of a pool on which nothing runs: by a process of its own.
import { join } from "node:path";
import { z } from "zod";
import type { Config } from "../config.ts";
import { decodeFailure } from "../domain/errors.ts";
import { parseResult, type Result } from "../jobs/contract.ts";
import { runCommand } from "../system/commands.ts";
import { workerSettings } from "./workers.ts";

const script = join(import.meta.dir, "../../workers/reset.ts");
/** Each device that is taken down takes a moment, and there may be thousands. */
const timeoutMs = 30 * 60_000;
const graceMs = 60_000;
const outcome = z.union([z.object({ failure: z.string() }), z.looseObject({ removedDevices: z.number() })]);

/** Throws what the reset throws: failed_precondition while a process has the pool after all, or something of it is in use. */
export async function resetStopped(config: Config, signal: AbortSignal): Promise<Result<"reset-pool">> {
  // Not as arguments, which every user of the host can read.
  const input = JSON.stringify(workerSettings(config));
  const program = ["--pdeathsig", "KILL", "--", process.execPath, script];
  const { stdout } = await runCommand("setpriv", program, { timeoutMs, graceMs, signal, input });
  const ended = outcome.parse(JSON.parse(stdout));
  if ("failure" in ended && typeof ended.failure === "string") throw decodeFailure(ended.failure);
  return parseResult("reset-pool", ended);
}
