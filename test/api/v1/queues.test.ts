// Tests the queues over HTTP, on a real `up`: what they hold, a pause, a drain and its end, and what is refused.
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { writeSmallImage } from "../../support/small-image.ts";
import { until } from "../../support/until.ts";
import { RunningApi } from "./running-api.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let reference = "";
beforeAll(async () => {
  api = await RunningApi.start();
  ({ reference } = await writeSmallImage(join(api.place.directory, "image")));
});
afterEach(async () => {
  await post("/resume");
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const post = (path: string, body: unknown = {}, headers: Record<string, string> = {}) =>
  api.pool(path, { method: "POST", body, headers: { prefer: "wait=60", ...headers } });
const queues = async () => (await api.pool("/queues")).body;
const unpackLater = async (): Promise<string> => {
  const asked = { reference, platform: "linux/amd64" };
  const { status, headers } = await post("/images/unpack", asked, { prefer: "respond-async" });
  expect(status).toBe(202);
  return headers.get("location") ?? "";
};
const ended = (place: string) =>
  until(
    `${place} has ended`,
    () => api.ask(place),
    ({ body }) => body.state !== "running",
  );

test("counts tell what waits and who works, and no hold", async () => {
  expect(await queues()).toMatchObject({
    pool: { waiting: 0, failed: 0, workers: 1, isPaused: false, hold: null },
    unpack: { waiting: 0, active: 0, delayed: 0, oldestWaitingMs: 0, workers: 1, isPaused: false, hold: null },
  });
});

test("a pause keeps unpacks, says whose it is, and its end has them executed", async () => {
  const token = (await api.place.run("token", "create", "operator", "--role", "operate")).stdout.trim();
  const paused = await post("/queues/unpack/pause", { reason: "slow" }, { authorization: `Bearer ${token}` });
  expect([paused.status, paused.body]).toMatchObject([
    200,
    { kind: "paused", heldBy: "token operator", reason: "slow", handOverAtMs: null },
  ]);
  const place = await unpackLater();
  const held = await until(
    "the unpack waits",
    queues,
    ({ unpack }) => unpack.waiting === 1 && unpack.oldestWaitingMs > 0,
  );
  expect(held.unpack).toMatchObject({ isPaused: true, active: 0, hold: paused.body });
  expect((await api.ask(place)).body.state).toBe("running");
  const released = await post("/resume");
  expect([released.status, released.body]).toEqual([200, { hold: paused.body, isPaused: false }]);
  expect((await ended(place)).body.state).toBe("done");
});

test("a resume without a hold says that there was none", async () => {
  const { status, body } = await post("/resume");
  expect([status, body]).toEqual([200, { hold: null, isPaused: false }]);
});

test("a drain ends when no unpack runs, keeps what waits, and survives a restart", async () => {
  const drained = await post("/drain", { reason: "upgrade" });
  expect([drained.status, drained.body]).toMatchObject([
    200,
    { hold: { kind: "drained", reason: "upgrade", heldBy: "token dashboard" }, running: 0, waiting: 0 },
  ]);
  const place = await unpackLater();
  await until("the unpack waits", queues, ({ unpack }) => unpack.waiting === 1);
  expect((await post("/drain")).body).toMatchObject({ hold: { kind: "drained" }, running: 0, waiting: 1 });
  await api.restart();
  expect((await queues()).unpack).toMatchObject({ isPaused: true, hold: { kind: "drained" } });
  expect((await api.ask(place)).body.state).toBe("running");
  expect((await post("/resume")).body).toMatchObject({ hold: { kind: "drained" }, isPaused: false });
  expect((await ended(place)).body.state).toBe("done");
});

/** Stops the unpack worker while it has an unpack; returns that one's place, and how the worker goes on. */
async function stopInTheMidst(): Promise<{ readonly place: string; readonly goOn: () => void }> {
  const pids = api.place.pidsOf("unpack.ts");
  const goOn = () => {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  };
  for (;;) {
    // What the pool has already is unpacked at once.
    await post("/images/remove", { targets: [{ reference }] });
    const place = await unpackLater();
    await until("it has begun", queues, ({ unpack }) => unpack.waiting === 0);
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    if ((await queues()).unpack.active === 1) return { place, goOn };
    goOn();
    await ended(place);
  }
}

test("a drain that waits for an unpack has a place, and can be given up there; the pool stays drained", async () => {
  const { place: unpacking, goOn } = await stopInTheMidst();
  try {
    const accepted = await post("/drain", { reason: "upgrade" }, { prefer: "respond-async" });
    expect([accepted.status, accepted.body]).toMatchObject([202, { operation: "drain", state: "running" }]);
    const place = accepted.headers.get("location") ?? "";
    await until("it is drained", queues, ({ unpack }) => unpack.hold?.kind === "drained" && unpack.isPaused);
    expect((await api.ask(place)).body).toMatchObject({ operation: "drain", state: "running" });
    const { status, body } = await api.ask(place, { method: "DELETE" });
    expect([status, body]).toMatchObject([200, { operation: "drain", state: "failed", failure: { code: "aborted" } }]);
    expect((await queues()).unpack).toMatchObject({ active: 1, hold: { kind: "drained", reason: "upgrade" } });
  } finally {
    goOn();
  }
  expect((await post("/resume")).status).toBe(200);
  expect((await ended(unpacking)).body.state).toBe("done");
});

test.each([
  ["a pause without a word", "/queues/unpack/pause", { reason: "" }, 400, "reason"],
  ["a reason beyond all", "/queues/unpack/pause", { reason: "x".repeat(1_001) }, 400, "reason"],
  ["a reason that is none", "/drain", { reason: 7 }, 400, "reason"],
  ["a wait of negative length", "/drain", { timeoutMs: -1 }, 400, "timeoutMs"],
  ["a wait of more than a day", "/drain", { timeoutMs: 86_400_001 }, 400, "timeoutMs"],
  ["a field that is none", "/drain", { timeout: 1 }, 400, "timeout"],
  ["a field of another", "/resume", { reason: "done" }, 400, "reason"],
  ["a field of another in another's", "/queues/unpack/pause", { timeoutMs: 1 }, 400, "timeoutMs"],
  ["a queue that cannot be held", "/queues/pool/pause", {}, 404, "/queues/pool/pause"],
] as const)("%s is refused as a problem, and holds nothing", async (_what, path, body, status, named) => {
  const answer = await post(path, body);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/problem+json"]);
  expect(answer.body.detail).toContain(named);
  expect((await queues()).unpack).toMatchObject({ isPaused: false, hold: null });
});

test("a reader sees the queues, and holds none", async () => {
  const token = (await api.place.run("token", "create", "reader", "--role", "read")).stdout.trim();
  const authorization = `Bearer ${token}`;
  expect((await api.pool("/queues", { headers: { authorization } })).status).toBe(200);
  for (const path of ["/queues/unpack/pause", "/drain", "/resume"]) {
    const { status, body } = await post(path, {}, { authorization });
    expect([status, body.code]).toEqual([403, "permission_denied"]);
  }
  expect((await api.pool("/drain")).headers.get("allow")).toBe("POST");
  expect((await api.ask("/v1/pools/other/drain", { method: "POST", body: {} })).status).toBe(404);
});

test("while Redis is away, what is asked of the queues is unavailable, within seconds", async () => {
  const pids = api.place.pidsOf("redis-server");
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    for (const answer of await Promise.all([api.pool("/queues"), post("/drain"), post("/resume")])) {
      expect([answer.status, answer.body.code]).toEqual([503, "unavailable"]);
    }
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
  await until(
    "Redis is there again",
    () => api.pool("/queues"),
    ({ status }) => status === 200,
  );
});
