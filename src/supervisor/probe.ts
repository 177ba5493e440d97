// Room: supervisor. Owns the proof that jobs run: a no-op job goes to the pool's worker and back.
import { setTimeout as delay } from "node:timers/promises";
import { type Config, redisUrl } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { requireUsable } from "../jobs/redis/diagnosis.ts";
import { JobClient } from "../jobs/requests/client.ts";

export interface ProofOptions {
  readonly signal: AbortSignal;
  /** When an operator has paused the pool's queue: throw, or tell the reason to this function and wait. */
  readonly onPaused: "refuse" | ((reason: string) => void);
  /** Once it says no, the proof is given up: the pool will not be served for now. Default: yes. */
  readonly isWanted?: () => boolean;
}

/** A busy worker takes longer to get to the job: then another one is sent. */
const answerWithinMs = 3_000;
const pauseMs = 1_000;

/**
 * Returns once a job has passed through the pool's queue: Redis stored it, the worker ran it, its answer came back. If
 * Redis becomes unusable, throws the reason within ten seconds. Waits for a worker that is merely busy.
 */
export async function proveJobsRun(config: Config, { signal, onPaused, isWanted }: ProofOptions): Promise<void> {
  while (isWanted?.() !== false) {
    signal.throwIfAborted();
    if (await isAnswered(config, signal)) return;
    await requireUsable(redisUrl(config), signal);
    if (await isPaused(config)) {
      const reason = "the pool's queue is paused: 'snapmill resume' ends that";
      if (onPaused === "refuse") throw failedPrecondition(reason);
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
    // The caller finds out why: Redis gives a better reason than a job that did not come back.
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
