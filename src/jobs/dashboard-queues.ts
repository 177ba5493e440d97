// Room: jobs. Owns a pool's queues as the dashboard wants them: BullMQ's own objects, on one connection.
import type { PoolName } from "../domain/identifiers.ts";
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
