import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireUsable } from "../../../src/jobs/redis/diagnosis.ts";
import { redisLabel } from "../../../src/jobs/redis/url.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { connect, consume, failureOf, removal } from "../support.ts";

/** A server that is not Redis: answers everything with `greeting`, or does not answer. */
function listen(greeting?: string) {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void (greeting !== undefined && socket.write(greeting)) },
  });
  return { url: `redis://user:hidden-word@127.0.0.1:${server.port}`, [Symbol.dispose]: () => server.stop(true) };
}

/** Answers every command of a handshake like a Redis of that version. */
function oldRedis() {
  const info = "# Server\r\nredis_version:4.0.14\r\n";
  const answerTo = (text: string): string => {
    if (/info/i.test(text)) return `$${info.length}\r\n${info}\r\n`;
    return /hello/i.test(text) ? "-ERR unknown command 'HELLO'\r\n" : "+OK\r\n";
  };
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket, data) => {
        for (const command of data.toString().split(/(?=\*\d+\r\n)/)) socket.write(answerTo(command));
      },
    },
  });
  return { url: `redis://127.0.0.1:${server.port}`, [Symbol.dispose]: () => server.stop(true) };
}

/** Makes Redis behave as on a full disk: it cannot save, and refuses writes from then on. */
async function withoutDisk(redis: TestRedis): Promise<void> {
  const elsewhere = mkdtempSync(join(tmpdir(), "snapmill-gone-"));
  await redis.command("CONFIG", "SET", "dir", elsewhere);
  rmSync(elsewhere, { recursive: true });
  await redis.command("CONFIG", "SET", "save", "3600 1");
  await redis.command("SET", "a", "change");
  await redis.command("BGSAVE");
  await until(
    "the save has failed",
    async () => String(await redis.command("INFO", "persistence")),
    (info) => info.includes("rdb_last_bgsave_status:err"),
  );
}

test("a Redis that cannot carry queues is named by its own reason, with the way out and without secrets", async () => {
  await using closed = await startRedis();
  await closed.command("CONFIG", "SET", "requirepass", "hidden-word");
  await using replica = await startRedis(["--replicaof", "127.0.0.1", "1"]);
  await using small = await startRedis(["--maxmemory", "1"]);
  await using diskless = await startRedis(["--enable-protected-configs", "yes"]);
  await withoutDisk(diskless);
  await using limited = await startRedis();
  await limited.command("ACL", "SETUSER", "default", "-@write");
  using mute = listen();
  using loading = listen("-LOADING Redis is loading the dataset in memory\r\n".repeat(8));
  using web = listen("HTTP/1.1 400 Bad Request\r\n\r\n");
  using old = oldRedis();
  const reasons: readonly (readonly [url: string, code: string, sentence: RegExp])[] = [
    [closed.url, "failed_precondition", /wants a password .*: put it into REDIS_URL/],
    [replica.url, "unavailable", /is a read-only replica .*: set REDIS_URL to its primary/],
    [small.url, "unavailable", /has no memory left .*: raise its maxmemory/],
    [diskless.url, "unavailable", /cannot write to its disk .*: make room there/],
    [limited.url, "failed_precondition", /does not let this user do what queues need/],
    [mute.url, "unavailable", /does not answer .*: it hangs, or something else listens there/],
    [loading.url, "unavailable", /is still loading its data .*: wait until it has/],
    [web.url, "failed_precondition", /does not speak as Redis does .*: something else listens there/],
    [old.url, "failed_precondition", /is too old \(4\.0\.14\): snapmill needs 5\.0/],
    ["redis://:hidden-word@127.0.0.1:1", "unavailable", /is not there .*: start it, or set REDIS_URL/],
    ["unix:///no/such/socket", "unavailable", /is not there .*: start 'snapmill up' or what .*, or set REDIS_URL/],
    ["redis://:hidden/word@127.0.0.1:1", "invalid_argument", /is not valid/],
    ["redis://:hidden-word%zz@127.0.0.1:1", "invalid_argument", /write it as %25/],
  ];
  const failures = await Promise.all(reasons.map(([url]) => failureOf(requireUsable(url))));
  for (const [index, [url, code, sentence]] of reasons.entries()) {
    const failure = failures[index];
    expect(failure?.message).toMatch(sentence);
    expect(failure?.code).toBe(code as never);
    expect(failure?.message).toContain(redisLabel(url));
    expect(failure?.message).not.toContain("hidden");
  }
}, 60_000);

test("a Redis that comes up meanwhile is usable", async () => {
  await using redis = await startRedis();
  await redis.stop();
  const usable = requireUsable(redis.url);
  await redis.start();
  await usable;
});

test("a worker whose Redis refuses to write asks again with growing pauses, and works once it may", async () => {
  await using redis = await startRedis();
  await using consumer = await consume(redis, { remove: async () => ({}) });
  await redis.command("REPLICAOF", "127.0.0.1", "1");
  await until(
    "it has been refused",
    () => consumer.errors,
    (errors) => errors.some(({ message }) => message.startsWith("READONLY")),
  );
  await until(
    "it has been refused three times",
    () => consumer.errors.length,
    (count) => count >= 3,
  );
  // Without pauses it would be refused about as often as these are answered, on the same event loop.
  for (let round = 0; round < 200; round += 1) await redis.command("PING");
  expect(consumer.errors.length).toBeLessThan(30);
  await redis.command("REPLICAOF", "NO", "ONE");
  await using client = await connect(redis);
  expect(await client.call("remove", removal)).toEqual({});
}, 60_000);
