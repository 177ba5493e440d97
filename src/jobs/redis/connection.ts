// Room: jobs. Owns the connections to Redis: how they are made, and how long an answer may take.
import { Redis } from "ioredis";
import { asSnapmillError, unavailable } from "../../domain/errors.ts";
import { startTimer } from "../../domain/timers.ts";
import { describeTrouble, isFinal, RedisAway } from "./failures.ts";
import { type ConnectionOptions, redisLabel, redisOptions } from "./url.ts";

/** How long a producer waits for one answer of Redis, connecting included. */
export const answerTimeoutMs = 1_000;

/**
 * A connection for callers: a command waits for Redis `answerTimeoutMs` at most (with BullMQ's own defaults it waits for
 * ever). It reconnects by itself as soon as Redis is back.
 */
export function producerConnection(url: string): Redis {
  return connection(url, {
    commandTimeout: answerTimeoutMs,
    connectTimeout: answerTimeoutMs,
    maxRetriesPerRequest: 3,
    retryStrategy: (attempt) => Math.min(50 * attempt, 250),
  });
}

/** A connection for workers: it waits for Redis as long as it takes, as BullMQ demands of its consumers. */
export function consumerConnection(url: string): Redis {
  return connection(url, { maxRetriesPerRequest: null, retryStrategy: (attempt) => Math.min(50 * attempt, 1_000) });
}

const lastErrors = new WeakMap<Redis, Error>();

/** The connection's own last error, such as a failed attempt to connect. */
export const lastErrorOf = (made: Redis): Error | undefined => lastErrors.get(made);

function connection(url: string, waiting: ConnectionOptions): Redis {
  const made = new Redis({ ...redisOptions(url), keepAlive: 10_000, ...waiting });
  // Without a listener, ioredis prints every failed attempt. Commands fail with the error as well.
  made.on("error", (error: Error) => {
    // The error of a failed sign-in carries the password, and every command that waited for it fails with it.
    if ("command" in error) delete error.command;
    lastErrors.set(made, error);
  });
  return made;
}

/**
 * Returns `made` once Redis has answered on it. After `timeoutMs` without an answer it is closed and `unavailable` thrown:
 * RedisAway, unless only a change of the settings helps.
 */
export async function answering(made: Redis, url: string, timeoutMs: number): Promise<Redis> {
  const { promise: timedOut, reject } = Promise.withResolvers<never>();
  using _timer = startTimer(timeoutMs, () => reject(unavailable(`no answer within ${timeoutMs} ms`)));
  try {
    await Promise.race([made.ping(), timedOut]);
    return made;
  } catch (error) {
    made.disconnect();
    const reason = lastErrors.get(made) ?? asSnapmillError(error);
    const sentence = describeTrouble(redisLabel(url), reason.message);
    throw isFinal(reason.message) ? unavailable(sentence, error) : new RedisAway(sentence, error);
  }
}

/** Settings of the Redis behind `made` with which jobs may be lost: sentences for the log, none if all is well. */
export async function checkRedis(made: Redis): Promise<string[]> {
  const facts = new Map((await made.info()).split(/\r?\n/).map((line) => line.split(":", 2) as [string, string]));
  const policy = facts.get("maxmemory_policy");
  const warnings: string[] = [];
  if (policy !== undefined && policy !== "noeviction") {
    warnings.push(
      `Redis evicts keys when its memory is full (maxmemory-policy ${policy}): set it to noeviction, or jobs vanish`,
    );
  }
  if (facts.get("aof_enabled") === "0") {
    warnings.push(
      "Redis keeps no append-only file: set appendonly to yes, or a restart of Redis forgets what is queued",
    );
  }
  return warnings;
}
