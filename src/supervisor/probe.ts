// Room: supervisor. Owns the proof that jobs run: one that does nothing goes to the pool's worker and back.
import { setTimeout as delay } from "node:timers/promises";
import { type Config, redisUrl } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { requireUsable } from "../jobs/redis/diagnosis.ts";
import { JobClient } from "../jobs/requests/client.ts";

export interface ProofOptions {
  readonly signal: AbortSignal;
  /** What is to happen while an operator has paused the pool's queue: the reason told, and waited; or thrown. */
  readonly onPaused: "refuse" | ((reason: string) => void);
}

/** A worker that has much to do takes longer to get to the proof: it is asked again. */
const answerWithinMs = 3_000;
const pauseMs = 1_000;

/**
 * Returns once a job has been through the pool's queue: Redis wrote it, the pool's worker took it, its answer came back.
 * Throws why Redis cannot be used, within ten seconds of that being so. A worker that is only busy is waited for.
 */
export async function proveJobsRun(config: Config, { signal, onPaused }: ProofOptions): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    if (await isAnswered(config, signal)) return;
    await requireUsable(redisUrl(config), signal);
    if (await isPaused(config)) {
      const reason = "the pool's queue is paused: resume it in the dashboard";
      if (onPaused === "refuse") throw failedPrecondition(`${reason} of 'snapmill up'`);
      onPaused(reason);
    }
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

async function isAnswered(config: Config, signal: AbortSignal): Promise<boolean> {
  try {
    await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
    await client.call("probe", {}, { deadlineMs: answerWithinMs, isUrgent: true, signal });
    return true;
  } catch {
    // Why is for the caller to find out: Redis itself says it better than a job that did not come back.
    signal.throwIfAborted();
    return false;
  }
}

async function isPaused(config: Config): Promise<boolean> {
  try {
    await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
    return (await client.paused()).pool;
  } catch {
    return false;
  }
}
