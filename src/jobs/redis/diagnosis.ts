// Room: jobs. Owns the check whether a Redis can carry queues: it does everything that a job would need of it.
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { failedPrecondition, isSnapmillError, unavailable } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import { startTimer } from "../../domain/timers.ts";
import { claimDamage, readClaim } from "../claims/pool-claims.ts";
import { keyPrefix, queueName } from "../queues.ts";
import { answerTimeoutMs, lastErrorOf, producerConnection } from "./connection.ts";
import { describeTrouble, isFinal, isReply } from "./failures.ts";
import { redisLabel, redisOptions } from "./url.ts";

/** A Redis that is starting or failing over is asked again for this long; then its reason is thrown. */
const withinMs = 5_000;
/** For one look: connecting, and four answers. */
const lookMs = 2_500;
const againAfterMs = 250;
/** Of BullMQ. */
const minVersion = { major: 5, text: "5.0" } as const;

/** The key that a look writes; it expires. */
const probeKey = "{snapmill}:probe";
/** A script, as BullMQ's are: what a replica, a full memory, a full disk and missing rights refuse. */
const probeScript = "redis.call('SET', KEYS[1], '1', 'PX', 1000) return 1";

/**
 * Returns once the Redis at `url` has answered, is new enough, and has written. Otherwise throws why not and the way
 * out, within five seconds: `unavailable`, or failed_precondition where waiting would not help. Without user and password.
 */
export async function requireUsable(url: string, signal?: AbortSignal): Promise<void> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await look(url, Math.min(lookMs, untilMs - performance.now()));
    } catch (error) {
      if (!isSnapmillError(error, "unavailable") || performance.now() + againAfterMs > untilMs) throw error;
    }
    await delay(againAfterMs);
  }
}

async function look(url: string, timeoutMs: number): Promise<void> {
  const connection = new Redis({
    ...redisOptions(url),
    lazyConnect: true,
    // A Redis that loads its data says so; ioredis would wait for it.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: timeoutMs,
  });
  let said: string | undefined;
  connection.on("error", (error: Error) => {
    said ??= error.message;
  });
  const { promise: late, reject } = Promise.withResolvers<never>();
  using _timer = startTimer(timeoutMs, () => reject(new Error(`no answer within ${Math.round(timeoutMs)} ms`)));
  try {
    await Promise.race([ask(connection, url), late]);
  } catch (error) {
    if (isSnapmillError(error)) throw error;
    // The first error is the reason; after it, ioredis says only that the connection is closed.
    throw failureOf(url, said ?? (error instanceof Error ? error.message : String(error)));
  } finally {
    connection.disconnect();
  }
}

async function ask(connection: Redis, url: string): Promise<void> {
  await connection.connect();
  const version = /^redis_version:(\S+)/m.exec(await connection.info("server"))?.[1];
  if (version !== undefined && Number.parseInt(version, 10) < minVersion.major) {
    throw failedPrecondition(
      `Redis at ${redisLabel(url)} is too old (${version}): snapmill needs ${minVersion.text}, better 6.2 or newer`,
    );
  }
  await connection.eval(probeScript, 1, probeKey);
}

/** `trouble`: why Redis cannot be used. `isPaused`: whether the pool's jobs are held back. */
export interface RedisState {
  readonly trouble: string | undefined;
  readonly isPaused: boolean;
}

/** Checks a Redis that is in use, repeatedly, on one connection. */
export class RedisCheck implements Disposable {
  readonly #url: string;
  readonly #pool: PoolName;
  readonly #connection: Redis;

  constructor(url: string, pool: PoolName) {
    this.#url = url;
    this.#pool = pool;
    this.#connection = producerConnection(url);
  }

  /** Five commands, one of them a write; answers within a second and a half. Never rejects. */
  async state(): Promise<RedisState> {
    const { promise: late, resolve } = Promise.withResolvers<RedisState>();
    const trouble = describeTrouble(redisLabel(this.#url), `no answer within ${answerTimeoutMs} ms`);
    using _timer = startTimer(1.5 * answerTimeoutMs, () => resolve({ trouble, isPaused: false }));
    return await Promise.race([this.#ask(), late]);
  }

  [Symbol.dispose](): void {
    this.#connection.disconnect();
  }

  async #ask(): Promise<RedisState> {
    try {
      const written = this.#connection.eval(probeScript, 1, probeKey);
      const meta = `${keyPrefix(this.#pool)}:${queueName(this.#pool, "pool")}:meta`;
      const [claim, paused] = await Promise.all([
        readClaim(this.#connection, this.#pool),
        this.#connection.hexists(meta, "paused"),
        written,
      ]);
      return { trouble: claim && claimDamage(this.#pool, claim), isPaused: paused === 1 };
    } catch (error) {
      const reason = isReply(error) ? error : (lastErrorOf(this.#connection) ?? error);
      const said = reason instanceof Error ? reason.message : String(reason);
      return { trouble: describeTrouble(redisLabel(this.#url), said), isPaused: false };
    }
  }
}

function failureOf(url: string, said: string) {
  const sentence = describeTrouble(redisLabel(url), said);
  return isFinal(said) ? failedPrecondition(sentence) : unavailable(sentence);
}
