// Room: jobs. Owns a pool's queues as BullMQ's own objects, on one connection: for the dashboard, and to end a foreign pause.
import type { PoolName } from "../domain/identifiers.ts";
import type { QueueKind } from "../domain/queues.ts";
import { type JobQueue, openQueue } from "./queues.ts";
import { answering, answerTimeoutMs, producerConnection } from "./redis/connection.ts";
import { asRedisFailure } from "./redis/failures.ts";

/** To be shown and steered. */
export interface DashboardQueues extends AsyncDisposable {
  readonly pool: JobQueue;
  readonly unpack: JobQueue;
}

/** `unavailable` within about a second when Redis is away; so are the queues' own methods later on. */
export async function dashboardQueues(redisUrl: string, pool: PoolName): Promise<DashboardQueues> {
  const connection = await answering(producerConnection(redisUrl), redisUrl, 1.5 * answerTimeoutMs);
  try {
    return {
      pool: await openQueue(connection, pool, "pool"),
      unpack: await openQueue(connection, pool, "unpack"),
      [Symbol.asyncDispose]: async () => connection.disconnect(),
    };
  } catch (error) {
    connection.disconnect();
    throw asRedisFailure(error);
  }
}

/** Ends a pause of BullMQ's own, which no hold has made: another program on this Redis. Throws `unavailable` as above. */
export async function resumeQueue(redisUrl: string, pool: PoolName, kind: QueueKind): Promise<void> {
  await using queues = await dashboardQueues(redisUrl, pool);
  if (await queues[kind].isPaused()) await queues[kind].resume();
}
