// Room: jobs. Owns the connections to Redis: how they are made, and how long anybody waits for an answer.
import { Redis } from "ioredis";
import { asSnapmillError, unavailable } from "../../domain/errors.ts";
import { startTimer } from "../../domain/timers.ts";
import { describeTrouble, isFinal, RedisAway } from "./failures.ts";
import { type ConnectionOptions, redisLabel, redisOptions } from "./url.ts";

/** How long a producer waits for one answer of Redis, connecting included. */
export const answerTimeoutMs = 1_000;

/**
 * A connection for whoever asks and wants an answer: a command waits for Redis `answerTimeoutMs` at most (BullMQ's own
 * defaults wait for ever). It connects again by itself as soon as Redis is back.
 */
export function producerConnection(url: string): Redis {
  return connection(url, {
    commandTimeout: answerTimeoutMs,
    connectTimeout: answerTimeoutMs,
    maxRetriesPerRequest: 3,
    retryStrategy: (attempt) => Math.min(50 * attempt, 250),
  });
}

/** A connection for whoever works: it waits for Redis as long as it takes, as BullMQ demands of its consumers. */
export function consumerConnection(url: string): Redis {
  return connection(url, { maxRetriesPerRequest: null, retryStrategy: (attempt) => Math.min(50 * attempt, 1_000) });
}

const lastErrors = new WeakMap<Redis, Error>();

/** What the connection said last of itself, a failed attempt to connect say. */
export const lastErrorOf = (made: Redis): Error | undefined => lastErrors.get(made);

function connection(url: string, waiting: ConnectionOptions): Redis {
  const made = new Redis({ ...redisOptions(url), keepAlive: 10_000, ...waiting });
  // Without a listener, ioredis prints every failed attempt; whoever sends a command hears of it there.
  made.on("error", (error: Error) => {
    // That of a failed sign-in carries the password, and comes out of every command that waited for it.
    if ("command" in error) delete error.command;
    lastErrors.set(made, error);
  });
  return made;
}

/**
 * `made`, once Redis has answered on it; after `timeoutMs` without an answer it is closed, and `unavailable` thrown:
 * RedisAway, unless it is the sign-in that is refused.
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

/** What is risky about the Redis behind `made` as a home for queues: sentences for the log, none if all is well. */
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
