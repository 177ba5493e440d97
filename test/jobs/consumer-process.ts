// A pool's consumer in a separate process, for tests that kill or block it: consumer-process.ts REDIS_URL BEHAVIOUR
import { Redis } from "ioredis";
import { poolName } from "../../src/domain/identifiers.ts";
import { consumePoolJobs } from "../../src/jobs/worker/consumer.ts";
import { holder, poolHandlers } from "./support.ts";

const [redisUrl = "", behaviour] = process.argv.slice(2);
const notes = new Redis({ path: redisUrl.slice("unix://".length) });
/** More than three times the lock's duration. */
const blockMs = 10_000;

const handlers = poolHandlers({
  remove: async (_, { operationId }) => {
    await notes.rpush("runs", `${operationId} ${process.pid}`);
    if (behaviour === "hangs") await new Promise(() => undefined);
    if (behaviour === "blocks") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
    return {};
  },
});

const pool = poolName("test.pool");
const consumer = await consumePoolJobs({ redisUrl, pool, holder, handlers, concurrency: 4, onError: () => undefined });
console.log("ready");
await consumer.lost;
await consumer.close();
notes.disconnect();
