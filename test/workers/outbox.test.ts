// Room: test. Owns the outbox at work: each kind of entry gets into its queue, whatever becomes of the others.
import { afterAll, afterEach, beforeAll, beforeEach, test } from "bun:test";
import { readConfig } from "../../src/config.ts";
import { freshOperationId } from "../../src/domain/identifiers.ts";
import { keyPrefix } from "../../src/jobs/queues.ts";
import { createLogger } from "../../src/logger.ts";
import type { Database } from "../../src/metadata/database.ts";
import { addToOutbox } from "../../src/metadata/outbox.ts";
import { addRemoval, pendingRemovals } from "../../src/metadata/pending-removals.ts";
import type { Snapshotter } from "../../src/snapshotter/snapshotter.ts";
import { Outbox } from "../../workers/outbox.ts";
import { newDevice, temporaryDatabase } from "../metadata/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";

let redis: TestRedis;
let database: Database;
let outbox: Outbox;
beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(() => {
  database = temporaryDatabase();
  const config = readConfig({}, { REDIS_URL: redis.url, SNAPMILL_POOL: "pool" });
  const log = createLogger({ name: "test", level: "silent" });
  // Nothing here ends an unpack: there is nothing to settle.
  outbox = new Outbox({ database, snapshotter: {} as Snapshotter, config, log });
});
afterEach(async () => {
  await outbox.stop();
  database.close();
  await redis.flush();
});
afterAll(() => redis[Symbol.asyncDispose]());

const keyOf = (kind: "pool" | "unpack", name: string) => `${keyPrefix("pool" as never)}:pool.${kind}:${name}`;
const isQueued = async (kind: "pool" | "unpack", job: string) =>
  (await redis.command("EXISTS", keyOf(kind, job))) === 1;

function acceptUnpack() {
  const operationId = freshOperationId();
  const payload = { pool: "pool", operationId, reference: "oci:/a", platform: "linux/amd64" };
  addToOutbox(database, { operationId, job: "unpack", payload });
  return { operationId };
}

test("an unpack is queued though removals cannot be, and the other way round", async () => {
  await redis.command("SET", keyOf("pool", "failed"), "damaged");
  const first = acceptUnpack();
  outbox.start();
  await until("the unpack is queued", () => isQueued("unpack", first.operationId));
  await redis.command("DEL", keyOf("pool", "failed"));
  await redis.command("SET", keyOf("unpack", "events"), "damaged");
  outbox.accepted([acceptUnpack()]);
  addRemoval(database, newDevice(database).deviceName);
  outbox.removalsWritten();
  const [removal] = pendingRemovals(database);
  await until("the removal is queued", () => isQueued("pool", removal?.operationId ?? "none"));
});
