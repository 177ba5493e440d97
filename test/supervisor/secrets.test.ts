// Tests that no secret is readable to others: in the output of commands, the log, Redis, the process table.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Redis } from "ioredis";
import { paths } from "../../src/config.ts";
import { findRunning } from "../../src/supervisor/running.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { type Finished, TestSnapmill } from "../support/test-snapmill.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

/** With characters that end a password for a careless reader of the URL. */
const password = "planted/pass@word:1";
const wrong = "wrong/pass@word:2";
const token = "planted-token-0123456789";
const secrets = [password, wrong, encodeURIComponent(password), encodeURIComponent(wrong), token, "pass@word"];

let redis: TestRedis;
let port = 0;
/** Of every process that ran meanwhile. */
const commandLines = new Set<string>();
let watching: Timer;

const urlWith = (secret: string) => `redis://mill:${encodeURIComponent(secret)}@127.0.0.1:${port}`;

beforeAll(async () => {
  port = await freePort();
  redis = await startRedis(["--port", String(port), "--bind", "127.0.0.1"]);
  await redis.command("ACL", "SETUSER", "mill", "on", `>${password}`, "~*", "&*", "+@all");
  watching = setInterval(() => {
    for (const pid of readdirSync("/proc")) if (/^\d+$/.test(pid)) commandLines.add(commandLineOf(pid));
  }, 5);
});
afterAll(async () => {
  clearInterval(watching);
  await redis[Symbol.asyncDispose]();
});

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Everything in Redis, in plain text. */
async function contentOfRedis(): Promise<string> {
  const client = new Redis({ port, host: "127.0.0.1" });
  const readers: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
    string: (key) => client.get(key),
    hash: (key) => client.hgetall(key),
    list: (key) => client.lrange(key, 0, -1),
    set: (key) => client.smembers(key),
    zset: (key) => client.zrange(key, "0", "-1"),
    stream: (key) => client.xrange(key, "-", "+"),
  };
  const keys = await client.keys("*");
  const values = await Promise.all(keys.map(async (key) => await readers[await client.type(key)]?.(key)));
  const clients = await client.call("CLIENT", "LIST");
  client.disconnect();
  return JSON.stringify([keys, values, clients]);
}

const found = (text: string): string[] => secrets.filter((secret) => text.includes(secret));
const said = ({ stdout, stderr }: Finished): string => stdout + stderr;

test("a password of Redis and the dashboard's token stay out of sight, in success and failure", async () => {
  using snapmill = new TestSnapmill({
    REDIS_URL: urlWith(password),
    SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
    SNAPMILL_LOG_LEVEL: "trace",
    SNAPMILL_UNPACK_WORKERS: "1",
  });
  writeFileSync(paths.httpToken(snapmill.config), `${token}\n`, { mode: 0o600 });
  const { reference } = await writeSmallImage(join(snapmill.directory, "image"));

  const up = snapmill.start(["up"]);
  await until(
    "up runs",
    () => findRunning(snapmill.config),
    (running) => running?.kind === "up",
  );
  const words = [said(await snapmill.run(["unpack", reference]))];
  for (const command of [["status", "--json"], ["doctor"]]) {
    words.push(said(await snapmill.run(command)));
  }
  expect(found(await contentOfRedis())).toEqual([]);
  expect(await redis.command("DBSIZE")).toBeGreaterThan(3);
  up.kill("SIGTERM");
  const ended = await up.finished;
  expect(ended.exitCode).toBe(0);
  expect(ended.stdout).toContain("snapmill is ready");

  const stopped = await snapmill.run(["doctor"]);
  expect(stopped).toMatchObject({ exitCode: 0, stderr: "" });
  expect(found([...words, said(ended), said(stopped)].join("\n"))).toEqual([]);
  expect(snapmill.residue()).toEqual([]);
});

test.each<[string, () => string]>([
  ["a wrong password", () => urlWith(wrong)],
  ["a password that is not escaped", () => `redis://mill:${wrong}@127.0.0.1:${port}`],
  ["a password with a question mark", () => `redis://${wrong}?x@127.0.0.1:${port}`],
  ["a scheme that is none", () => `mill:${wrong}@127.0.0.1:${port}`],
])("%s is told without it", async (_what, url) => {
  using snapmill = new TestSnapmill(
    { SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0", SNAPMILL_LOG_LEVEL: "trace" },
    { REDIS_URL: url() },
  );
  const up = snapmill.start(["up"]);
  // Some faults are waited out: what is said of them is said by then.
  await until("the fault is told", up.said, (text) => /Redis|not valid/.test(text), 60_000);
  const unpacked = await snapmill.run(["prepare", "x"]);
  up.kill("SIGTERM");
  const ended = await up.finished;
  expect(said(ended)).toMatch(/Redis/);
  expect(found(said(ended) + said(unpacked))).toEqual([]);
});

test("no process had a secret among its arguments", () => {
  expect([...commandLines].some((line) => line.includes("workers/pool.ts"))).toBe(true);
  expect([...commandLines].some((line) => line.includes("workers/doctor.ts"))).toBe(true);
  expect([...commandLines].filter((line) => found(line).length > 0)).toEqual([]);
});
