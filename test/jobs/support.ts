// Owns what the tests of jobs share: a pool's name, consumers with given handlers, waits, failures as values.
import { expect } from "bun:test";
import { join } from "node:path";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { isSnapmillError, notFound, type SnapmillError } from "../../src/domain/errors.ts";
import { operationId, poolName } from "../../src/domain/identifiers.ts";
import type { QueueKind } from "../../src/domain/queues.ts";
import type { ClaimHolder } from "../../src/jobs/claims/pool-claims.ts";
import { poolJobNames, type UnpackedImage } from "../../src/jobs/contract.ts";
import { UnpackPublisher } from "../../src/jobs/outbox/unpack-publisher.ts";
import { keyPrefix, queueName } from "../../src/jobs/queues.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import type { JobCounts } from "../../src/jobs/requests/queue-counts.ts";
import { type Consumer, consumePoolJobs, consumeUnpackJobs } from "../../src/jobs/worker/consumer.ts";
import type { Handler, PoolHandlers } from "../../src/jobs/worker/handlers.ts";
import type { TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";

export const pool = poolName("test.pool");
export const anId = operationId("op-first-1");
export const anotherId = operationId("op-second-2");

/** The database whose jobs the consumers of these tests execute by default. */
export const holder: ClaimHolder = { database: 1111, host: "host-a", stateDir: "/state/a", place: "boot:1:1" };
export const otherHolder: ClaimHolder = { database: 2222, host: "host-b", stateDir: "/state/b", place: "boot:1:2" };

/** Arguments of a removal, the smallest job of the pool: most tests use it. */
export const removal = { scope: "test", key: "a key" };
export const image = { reference: "oci:/images/a", platform: "linux/amd64" };

const digest = `sha256:${"0".repeat(64)}`;
/** What an unpack handler may answer with. */
export const unpacked = {
  image: "a",
  platform: "linux/amd64",
  manifestDigest: digest,
  chainId: digest,
  snapshot: digest,
  layers: [],
} as unknown as UnpackedImage;

export const connect = (redis: TestRedis): Promise<JobClient> => JobClient.connect({ redisUrl: redis.url, pool });

export type TestConsumer = Consumer & AsyncDisposable & { readonly errors: Error[] };

/** A consumer of the pool's queue in this process. Handlers that are not given answer not_found. */
export async function consume(
  redis: TestRedis,
  handlers: Partial<PoolHandlers>,
  { concurrency = 8, ...claiming }: { concurrency?: number; holder?: ClaimHolder; takeOver?: string } = {},
): Promise<TestConsumer> {
  const errors: Error[] = [];
  const onError = (error: Error) => void errors.push(error);
  const all = poolHandlers(handlers);
  const options = { redisUrl: redis.url, pool, holder, ...claiming, handlers: all, concurrency, onError };
  return disposable(await consumePoolJobs(options), errors);
}

export async function consumeUnpacks(
  redis: TestRedis,
  handler: Handler<"unpack">,
  claiming: { holder?: ClaimHolder; takeOver?: string } = {},
): Promise<TestConsumer> {
  const errors: Error[] = [];
  const onError = (error: Error) => void errors.push(error);
  const options = {
    redisUrl: redis.url,
    pool,
    holder,
    ...claiming,
    handlers: { unpack: handler, resolve: () => Promise.reject(new Error("nothing is resolved here")) },
    concurrency: 4,
    onError,
  };
  return disposable(await consumeUnpackJobs(options), errors);
}

const disposable = (consumer: Consumer, errors: Error[]): TestConsumer => ({
  errors,
  warnings: consumer.warnings,
  displaced: consumer.displaced,
  lost: consumer.lost,
  assertAwake: () => consumer.assertAwake(),
  close: () => consumer.close(),
  closeNow: () => consumer.closeNow(),
  [Symbol.asyncDispose]: () => consumer.closeNow(),
});

export function poolHandlers(given: Partial<PoolHandlers>): PoolHandlers {
  const none = () => Promise.reject(notFound("no such handler in this test"));
  const all = Object.fromEntries(poolJobNames.map((name) => [name, none])) as unknown as PoolHandlers;
  return { ...all, ...given };
}

/** A handler that queues unpacks at once, as the pool's worker does once it has written them down. */
export const publishUnpacks =
  (redis: TestRedis): Handler<"accept-unpack"> =>
  async ({ requests }) => {
    await using publisher = await UnpackPublisher.connect({ redisUrl: redis.url, pool, database: holder.database });
    await publisher.enqueueUnpacks(requests);
    return {};
  };

/** The SnapmillError that `promise` rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<SnapmillError> {
  const error = await promise.then(
    (value) => new Error(`no failure, but ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (isSnapmillError(error)) return error;
  throw error;
}

/** Waits until so many jobs of a queue are in the given states, and shows the counts if they never are. */
export const untilCounts = (client: JobClient, wanted: Partial<JobCounts>, kind: QueueKind = "pool") =>
  until(
    `the ${kind} queue has ${JSON.stringify(wanted)}`,
    () => client.counts(),
    ({ [kind]: counts }) =>
      Object.entries(wanted).every(([state, count]) => counts[state as keyof JobCounts] === count),
  );

export const untilLength = (list: readonly unknown[], length: number) =>
  until(
    `the list has ${length} entries`,
    () => list,
    (seen) => seen.length === length,
  );

export const untilFinished = (queue: Queue, jobId: string) =>
  until(
    `the job ${jobId} is finished`,
    async () => (await queue.getJob(jobId))?.toJSON(),
    (job) => job?.finishedOn !== undefined,
  );

/** One of the pool's queues as BullMQ itself sees it. */
export async function withQueue<T>(redis: TestRedis, kind: QueueKind, use: (queue: Queue) => Promise<T>): Promise<T> {
  const connection = new Redis({ path: redis.url.slice("unix://".length) });
  const queue = new Queue(queueName(pool, kind), { connection, prefix: keyPrefix(pool) });
  try {
    return await use(queue);
  } finally {
    await queue.close();
    connection.disconnect();
  }
}

/** A consumer in a separate process (consumer-process.ts). It records every run in the Redis list `runs`. */
export async function startConsumerProcess(redis: TestRedis, behaviour: "answers" | "hangs" | "blocks") {
  const program = [process.execPath, join(import.meta.dir, "consumer-process.ts"), redis.url, behaviour];
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", "--", ...program], { stdout: "pipe" });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value)).toContain("ready");
  const end = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return { pid: child.pid, exited: child.exited, kill: end, [Symbol.asyncDispose]: end };
}

/** `<operation ID> <process ID>` of every run in a consumer process, oldest first. */
export async function runsOf(redis: TestRedis): Promise<string[]> {
  const runs = await redis.command("LRANGE", "runs", "0", "-1");
  return Array.isArray(runs) ? runs.map(String) : [];
}
