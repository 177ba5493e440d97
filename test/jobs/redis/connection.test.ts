import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { answering, checkRedis, producerConnection } from "../../../src/jobs/redis/connection.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { failureOf } from "../support.ts";

describe("a connection", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  test("to a Redis that is not there says so, and what to do", async () => {
    const failure = await failureOf(
      answering(producerConnection("unix:///nowhere.sock"), "unix:///nowhere.sock", 1_500),
    );
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toContain("Redis at unix:///nowhere.sock is not there");
    expect(failure.message).toContain("ENOENT");
  });

  test("to a port without a listener says so without the password", async () => {
    const url = "redis://:secret@127.0.0.1:1";
    const failure = await failureOf(answering(producerConnection(url), url, 1_500));
    expect(failure.message).toContain("Redis at redis://127.0.0.1:1 is not there");
    expect(failure.message).not.toContain("secret");
  });

  test("that is refused its password fails with errors that do not carry it", async () => {
    const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const { port } = probe;
    probe.stop();
    await using server = await startRedis(["--port", String(port), "--bind", "127.0.0.1"]);
    await server.command("ACL", "SETUSER", "mill", "on", ">right");
    const made = producerConnection(`redis://mill:planted@127.0.0.1:${port}`);
    // ioredis hangs the command on its error: the one that signs in, with its arguments.
    const error = await made.ping().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    made.disconnect();
    expect(String(error)).toContain("WRONGPASS");
    expect(JSON.stringify(error)).not.toContain("planted");
  });

  test("goes over TCP as well, and into the database that the URL names", async () => {
    const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const { port } = probe;
    probe.stop(true);
    await using server = await startRedis(["--port", String(port)]);
    const url = `redis://127.0.0.1:${port}/2`;
    const connection = await answering(producerConnection(url), url, 5_000);
    await connection.set("where", "here");
    connection.disconnect();
    expect(await server.command("INFO", "keyspace")).toContain("db2:keys=1");
  });

  test("recovers once Redis is back", async () => {
    const connection = await answering(producerConnection(redis.url), redis.url, 5_000);
    await redis.kill();
    expect(await connection.ping().catch(String)).toContain("max retries per request");
    await redis.start();
    expect(await connection.set("after", "the outage")).toBe("OK");
    connection.disconnect();
  });
});

describe("a Redis", () => {
  test("that evicts keys or forgets on restart is warned of (jobs would vanish)", async () => {
    await using careless = await startRedis(["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"]);
    const connection = producerConnection(careless.url);
    const warnings = await checkRedis(connection);
    connection.disconnect();
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain("allkeys-lru");
    expect(warnings[1]).toContain("append-only file");
  });

  test("that is set up for queues is not", async () => {
    await using careful = await startRedis();
    const connection = producerConnection(careful.url);
    expect(await checkRedis(connection)).toEqual([]);
    connection.disconnect();
  });
});
