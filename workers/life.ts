// Room: workers. Owns the life of a worker's process: it works until a signal stops it, or ends saying what went wrong.
import { asSnapmillError, isRetryable } from "../src/domain/errors.ts";
import type { Logger } from "../src/logger.ts";
import { announceRefusal } from "../src/supervisor/ready.ts";

/** Ends the process when `work` has: with 0, or with 1 when it failed. `stopped`: the signal's name, once there is one. */
export async function live(log: Logger, work: (stopped: Promise<string>) => Promise<void>): Promise<never> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<string>();
  process.once("SIGTERM", () => stop("SIGTERM"));
  process.once("SIGINT", () => stop("SIGINT"));
  try {
    await work(stopped);
    process.exit(0);
  } catch (error) {
    const failure = asSnapmillError(error);
    log.fatal({ err: failure, code: failure.code }, failure.message);
    if (!isRetryable(failure.code) && failure.code !== "internal") announceRefusal(failure);
    process.exit(1);
  }
}
