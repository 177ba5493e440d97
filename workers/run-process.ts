// Room: workers. Owns the life of a worker's process: it works until a signal stops it, or ends saying what went wrong.
import { basename } from "node:path";
import type { LogFormat } from "../src/config/schema.ts";
import { callersTrace, readConfig, wantsTraces } from "../src/config.ts";
import { asSnapmillError, encodeFailure, isRetryable } from "../src/domain/errors.ts";
import { inWork } from "../src/domain/work.ts";
import { createLogger, type Logger } from "../src/logger.ts";
import { announceFailure, announceRefusal, hasAnnouncedReady } from "../src/supervisor/ready.ts";
import { startTelemetry } from "../src/telemetry/start.ts";

/**
 * Resolves with the name of the first signal that tells this process to stop. The listeners stay: while a command runs,
 * execa's signal-exit listens, too, and would end this process on the spot if it found no other listener.
 */
export function untilSignalled(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => resolve(name));
  return promise;
}

/**
 * Ends the process when `work` has, and the last of its telemetry is sent: with 0, or with 1 when it failed. `stopped`:
 * the signal's name, once there is one.
 */
export async function runProcess(
  log: Logger,
  work: (stopped: Promise<string>) => Promise<void>,
  telemetry: AsyncDisposable,
): Promise<never> {
  try {
    await work(untilSignalled());
    await telemetry[Symbol.asyncDispose]();
    process.exit(0);
  } catch (error) {
    const failure = asSnapmillError(error);
    const { code } = failure;
    // A stack is of use only for failures that were not foreseen.
    log.fatal(code === "internal" ? { err: failure, code } : { code }, failure.message);
    await telemetry[Symbol.asyncDispose]();
    endWith(error);
  }
}

/** Prints what `work` answers, or `{ failure }`. It is part of the trace of the command that has started this process. */
export async function endWithOutcomeOf(name: string, work: () => Promise<object>): Promise<never> {
  const log = createLogger({ name, level: "warn" });
  const telemetry = await startTelemetry({ process: name, isTraced: wantsTraces(), log });
  const traced = inWork({ name: `process ${name}`, parent: callersTrace() }, work);
  const outcome = await traced.catch((error: unknown) => ({ failure: encodeFailure(error) }));
  await telemetry[Symbol.asyncDispose]();
  await Bun.write(Bun.stdout, JSON.stringify(outcome));
  process.exit();
}

/** The supervisor hears why; it starts another one, unless that would not help. */
function endWith(error: unknown): never {
  const failure = asSnapmillError(error);
  if (!isRetryable(failure.code) && failure.code !== "internal") announceRefusal(failure);
  else announceFailure(failure);
  process.exit(1);
}

/** Ends a worker for an error that nothing caught: while its module was loaded, or in a timer. */
function endUncaught(error: unknown): never {
  const failure = asSnapmillError(error);
  const log = createLogger({ name: basename(Bun.main, ".ts"), level: "fatal", format: formatOfLog() });
  log.fatal({ err: error instanceof Error ? error : failure, code: failure.code }, failure.message);
  if (!hasAnnouncedReady()) endWith(error);
  // A worker that has been ready is started again: one of its tasks failed, not its start.
  announceFailure(error);
  process.exit(1);
}

/** The settings may be what is wrong. */
function formatOfLog(): LogFormat {
  try {
    return readConfig().logFormat;
  } catch {
    return "auto";
  }
}

process.on("uncaughtException", endUncaught);
process.on("unhandledRejection", endUncaught);
