// Room: supervisor. Owns the lock of a state directory, which shows whether a snapmill runs for it, and who holds it.
import { lstatSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { type Config, paths, redisUrl } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import type { Running } from "../domain/running.ts";
import { redisLabel } from "../jobs/redis/url.ts";
import { isLock, type Lock, tryLock, tryLockAfterDeath } from "../system/file/locks.ts";
import { prepareStateDirectory } from "./directories.ts";
import { makeRoomToStart } from "./disk-reserve.ts";

export const runningShape = z.object({
  pid: z.number(),
  kind: z.enum(["up", "command"]),
  pools: z.array(z.string()).readonly(),
  redisUrl: z.string(),
  httpAddress: z.string(),
  // An 'up' that was started before this field existed does not say.
  isHttps: z.boolean().default(false),
  startedAtMs: z.number(),
}) satisfies z.ZodType<Running>;

/** How long the holder may take to write its line; a process that only checks the lock holds it for less. */
const settleMs = 5_000;
const pollMs = 20;

/**
 * The snapmill that runs, or is starting, for the configured state directory; undefined if there is none. A lock file
 * that a killed one left behind does not count.
 */
export async function findRunning(config: Config): Promise<Running | undefined> {
  const path = paths.upLock(config);
  const untilMs = performance.now() + settleMs;
  for (;;) {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    const outcome = tryLock(path, "");
    if (isLock(outcome)) {
      outcome[Symbol.dispose]();
      return undefined;
    }
    const running = parseHolder(outcome.heldBy);
    if (running !== undefined) return running;
    if (performance.now() > untilMs) {
      throw failedPrecondition(`${path} is locked by a process that does not identify itself: wait, and try again`);
    }
    await delay(pollMs);
  }
}

export type Claim = { readonly kind: "ours"; readonly lock: Lock } | { readonly kind: "held"; readonly by: Running };

/**
 * Makes this process the one that runs for the state directory, or returns the one that does. Reports repairs of the
 * directory to `onNotice`. `pools`: those that are served. Throws what prepareStateDirectory throws.
 */
export async function claim(
  config: Config,
  kind: Running["kind"],
  onNotice: (sentence: string) => void,
  pools: readonly PoolName[] = [config.pool],
): Promise<Claim> {
  prepareStateDirectory(config, onNotice);
  await makeRoomToStart(config, onNotice);
  const about: Running = {
    pid: process.pid,
    kind,
    pools,
    redisUrl: redisLabel(redisUrl(config)),
    httpAddress: config.httpAddress,
    isHttps: config.httpCertificate !== undefined,
    startedAtMs: Date.now(),
  };
  for (;;) {
    const outcome = await tryLockAfterDeath(paths.upLock(config), JSON.stringify(about));
    if (isLock(outcome)) return { kind: "ours", lock: outcome };
    // No snapmill holds it: another process was only checking the lock that a killed one had left.
    const running = await findRunning(config);
    if (running !== undefined) return { kind: "held", by: running };
  }
}

function parseHolder(line: string): Running | undefined {
  try {
    return runningShape.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
