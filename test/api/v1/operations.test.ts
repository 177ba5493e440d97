// Tests operations over HTTP, on a real `up`: repeated requests, preferences, places, events, cancellation, restarts.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { writeSmallImage } from "../../support/small-image.ts";
import { until } from "../../support/until.ts";
import { type Answer, type Asked, RunningApi } from "./running-api.ts";

let api: RunningApi;
let reference: string;
beforeAll(async () => {
  api = await RunningApi.start();
  ({ reference } = await writeSmallImage(join(api.place.directory, "image")));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const prepare = (key: string, headers: Record<string, string>, body: object = {}) =>
  api.pool(`/snapshots/${key}/prepare`, { method: "POST", body, headers });
const placeOf = ({ headers }: Answer): string => `/v1/operations/${headers.get("operation-id") ?? ""}`;
const remove = (key: string) => api.pool(`/snapshots/${key}`, { method: "DELETE" });
const unpack = (asked: Pick<Asked, "headers"> = {}) =>
  api.pool("/images/unpack", { method: "POST", body: { reference, platform: "linux/amd64" }, ...asked });

/** Stops the processes of `program` for the time of `action`, so that what they would do is still to be done. */
async function whileStopped<T>(program: string, action: () => Promise<T>): Promise<T> {
  const pids = api.place.pidsOf(program);
  expect(pids).not.toEqual([]);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    return await action();
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
}

const ended = (place: string) =>
  until(
    `${place} has ended`,
    () => api.ask(place),
    ({ body }) => body.state !== "running",
    60_000,
  );

describe("an Idempotency-Key", () => {
  test("makes one effect and one answer of two requests", async () => {
    const key = { "idempotency-key": "build 1, ünïcode!" };
    const first = await prepare("once", key);
    const again = await prepare("once", key);
    expect([first.status, again.status, again.body]).toEqual([200, 200, first.body]);
    expect(again.headers.get("operation-id")).toBe(first.headers.get("operation-id"));
    expect((await prepare("once", { "idempotency-key": "another" })).body.code).toBe("already_exists");
    expect((await remove("once")).status).toBe(200);
  });

  test("keeps a failure as well: the answer of the first time", async () => {
    const key = { "idempotency-key": "fails" };
    const first = await prepare("child", key, { parent: "nobody" });
    expect([first.status, first.body.code]).toEqual([404, "not_found"]);
    expect((await prepare("child", key, { parent: "nobody" })).body).toEqual(first.body);
  });

  test("is refused for another body, and for another operation", async () => {
    const headers = { "idempotency-key": "reused" };
    expect((await prepare("mine", headers)).status).toBe(200);
    for (const other of [
      await prepare("mine", headers, { labels: { a: "1" } }),
      await prepare("yours", headers),
      await api.pool("/snapshots/mine", { method: "DELETE", headers }),
    ]) {
      expect([other.status, other.body.type]).toEqual([422, "urn:snapmill:problem:key-reused"]);
    }
    expect((await remove("mine")).status).toBe(200);
  });

  test("of a request that is under way answers 409 with its place, and then what came of it", async () => {
    const headers = { "idempotency-key": "slow", prefer: "respond-async" };
    const place = await whileStopped("pool.ts", async () => {
      const first = await prepare("slow", headers);
      expect([first.status, first.body]).toMatchObject([
        202,
        { operation: "prepare", state: "running", pool: "default" },
      ]);
      expect(first.headers.get("preference-applied")).toBe("respond-async");
      const second = await prepare("slow", headers);
      expect([second.status, second.body.type]).toEqual([409, "urn:snapmill:problem:still-running"]);
      expect(second.headers.get("location")).toBe(first.headers.get("location"));
      return first.headers.get("location") ?? "";
    });
    const { body } = await ended(place);
    expect(body).toMatchObject({ state: "done", result: { mounts: [{ type: "ext4" }] } });
    expect(await prepare("slow", headers)).toMatchObject({ status: 200, body: body.result });
    expect((await remove("slow")).status).toBe(200);
  });

  test("of requests that come together makes one effect; the others are told its place, or its answer", async () => {
    const headers = { "idempotency-key": "together" };
    const answers = await Promise.all(Array.from({ length: 20 }, () => prepare("together", headers)));
    const done = answers.filter(({ status }) => status === 200);
    expect(done.length).toBeGreaterThan(0);
    for (const { body } of done) expect(body).toEqual(done[0]?.body);
    for (const { status, body, headers: told } of answers.filter((answer) => !done.includes(answer))) {
      expect([status, body.type, told.get("retry-after")]).toEqual([409, "urn:snapmill:problem:still-running", "1"]);
      expect(told.get("location")).toBe(placeOf(done[0] as Answer));
    }
    expect((await remove("together")).status).toBe(200);
  });

  test("is of its token alone: another's request with the same one is another request", async () => {
    const other = (await api.place.run("token", "create", "other", "--role", "operate")).stdout.trim();
    const headers = { "idempotency-key": "shared" };
    expect((await prepare("shared", headers)).status).toBe(200);
    const theirs = await prepare("shared", { ...headers, authorization: `Bearer ${other}` });
    expect([theirs.status, theirs.body.code]).toEqual([409, "already_exists"]);
    expect((await prepare("shared", headers)).status).toBe(200);
    expect((await remove("shared")).status).toBe(200);
  });

  test("that is empty or too long is refused", async () => {
    for (const key of ["", "x".repeat(513)]) {
      const { status, body } = await prepare("never", { "idempotency-key": key });
      expect([status, body.code]).toEqual([400, "invalid_argument"]);
    }
  });
});

test("a caller who leaves before his change has begun has it taken back", async () => {
  const leaver = new AbortController();
  await whileStopped("pool.ts", async () => {
    const left = api.pool("/snapshots/left/prepare", { method: "POST", body: {}, signal: leaver.signal });
    await until(
      "the job waits",
      async () => (await api.ask("/queues/api/queues", { headers: api.asBrowser })).body,
      (body) => JSON.stringify(body).includes('"waiting":1') || JSON.stringify(body).includes('"active":1'),
    );
    leaver.abort();
    expect(await left.catch(() => "left")).toBe("left");
    await Bun.sleep(500);
  });
  // Serial: what came before has been done, or was taken back.
  expect((await prepare("after", {})).status).toBe(200);
  const { body } = await api.pool("/snapshots");
  const keys = body.items.map(({ key }: { key: string }) => key);
  for (const key of keys) expect((await remove(key)).status).toBe(200);
  expect(keys).toContain("after");
});

describe("an unpack", () => {
  test("answers 202 with its place, which tells its progress and its result", async () => {
    const accepted = await unpack();
    expect([accepted.status, accepted.body]).toMatchObject([202, { operation: "unpack", state: "running" }]);
    const place = accepted.headers.get("location") ?? "";
    expect(place).toBe(placeOf(accepted));
    const { body } = await ended(place);
    expect(body).toMatchObject({ state: "done", result: { image: expect.stringContaining("oci:") } });
    expect(body.result.layers).toHaveLength(3);
    expect(body.endedAtMs).toBeGreaterThanOrEqual(body.startedAtMs);
  });

  test("is waited for with Prefer: wait", async () => {
    const { status, body } = await unpack({ headers: { prefer: "wait=60" } });
    expect([status, body.layers.map(({ cached }: { cached: boolean }) => cached)]).toEqual([200, [true, true, true]]);
  });

  test("that is not done within the wait gets a place, and can be cancelled there", async () => {
    const place = await whileStopped("unpack.ts", async () => {
      const { status, headers } = await unpack({ headers: { prefer: "wait=1" } });
      expect([status, headers.get("preference-applied")]).toEqual([202, "wait=1"]);
      const at = headers.get("location") ?? "";
      const cancelled = api.ask(at, { method: "DELETE" });
      await Bun.sleep(100);
      return [at, cancelled] as const;
    });
    const { status, body } = await place[1];
    expect([status, body.state, body.failure?.message]).toEqual([200, "failed", expect.stringContaining("cancelled")]);
    const again = await api.ask(place[0], { method: "DELETE" });
    expect([again.status, again.body.code]).toEqual([409, "failed_precondition"]);
  });
});

test("a wait beyond the limit is the longest; what is no wait is ignored", async () => {
  const doctor = (prefer: string) => api.pool("/doctor", { method: "POST", body: {}, headers: { prefer } });
  expect((await doctor(`wait=${"9".repeat(30)}`)).status).toBe(200);
  for (const prefer of ["wait=-1", "wait=1.5", "wait", "wait=0x10", "x".repeat(10_000)]) {
    const { status, headers } = await doctor(prefer);
    expect([status, headers.get("preference-applied")]).toEqual([202, null]);
  }
});

test("a reason in UTF-8 is in the audit log as it was written", async () => {
  const reason = "größer als 漢";
  const asked = ["-d", "{}", "-H", `Authorization: Bearer ${api.token}`, "-H", "Content-Type: application/json"];
  const url = `${api.url}/v1/pools/default/snapshots/reason/prepare`;
  const child = Bun.spawn(["curl", "-sS", "-o", "/dev/null", ...asked, "-H", `Snapmill-Reason: ${reason}`, url]);
  expect(await child.exited).toBe(0);
  expect((await api.ask("/v1/audit?limit=1")).body.items).toMatchObject([{ operation: "prepare", reason }]);
  expect((await remove("reason")).status).toBe(200);
});

test("the reason of a request's own is in the audit log, unless the header gives another", async () => {
  const pause = (headers: Record<string, string>) =>
    api.pool("/queues/unpack/pause", { method: "POST", body: { reason: "new kernel" }, headers });
  for (const [headers, reason] of [[{}, "new kernel"] as const, [{ "snapmill-reason": "ticket" }, "ticket"] as const]) {
    expect((await pause(headers)).status).toBe(200);
    expect((await api.ask("/v1/audit?limit=1")).body.items).toMatchObject([{ operation: "holdQueue", reason }]);
  }
  expect((await api.pool("/resume", { method: "POST", body: {} })).status).toBe(200);
});

describe("events", () => {
  /** All events of a stream that ends, or the first of one that does not. */
  async function listen(path: string, headers: Record<string, string> = {}) {
    const answer = await fetch(api.url + path, { headers: { authorization: `Bearer ${api.token}`, ...headers } });
    const text = answer.status === 200 ? await answer.text() : "";
    const events = [...text.matchAll(/id: (\w+)\nevent: state\ndata: (.*)\n\n/g)];
    return { status: answer.status, events: events.map(([, id = "", data = ""]) => ({ id, state: JSON.parse(data) })) };
  }

  test("tell how it stands until it has ended, also after more than 10 s of silence", async () => {
    const { place, heard } = await whileStopped("unpack.ts", async () => {
      const accepted = await unpack();
      const at = accepted.headers.get("location") ?? "";
      const listening = listen(`${at}/events`);
      // Longer than the server lets a connection idle.
      await Bun.sleep(12_000);
      return { place: at, heard: listening };
    });
    const { status, events } = await heard;
    expect(status).toBe(200);
    expect(events.at(0)?.state.state).toBe("running");
    expect(events.at(-1)?.state).toMatchObject({ state: "done" });
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    const last = events.at(-1)?.id ?? "";
    expect(await listen(`${place}/events`, { "last-event-id": last })).toEqual({ status: 204, events: [] });
    expect((await listen(`${place}/events`, { "last-event-id": "older" })).events).toEqual(events.slice(-1));
  }, 60_000);

  test("go to 16 listeners of a token at once, and end when it is revoked", async () => {
    const token = (await api.place.run("token", "create", "listener", "--role", "read")).stdout.trim();
    const place = await whileStopped("unpack.ts", async () => {
      const at = (await unpack()).headers.get("location") ?? "";
      const open = (by: string) => fetch(`${api.url}${at}/events`, { headers: { authorization: `Bearer ${by}` } });
      const streams = await Promise.all(Array.from({ length: 16 }, () => open(token)));
      expect(streams.map(({ status }) => status)).toEqual(Array(16).fill(200));
      const refused = await open(token);
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "5"]);
      const other = await open(api.token);
      expect(other.status).toBe(200);
      await other.body?.cancel();
      await api.place.run("token", "revoke", "listener");
      for (const text of await Promise.all(streams.map((stream) => stream.text()))) {
        expect(text).not.toContain('"state":"done"');
      }
      expect((await open(token)).status).toBe(401);
      return at;
    });
    expect((await ended(place)).body.state).toBe("done");
  }, 120_000);

  test("of an operation that nobody has asked for are a 404", async () => {
    const { status, body } = await api.ask("/v1/operations/op-nothing-here/events");
    expect([status, body.code]).toEqual([404, "not_found"]);
    expect((await api.ask("/v1/operations/op-nothing-here")).status).toBe(404);
  });
});

test("after a restart, journal, outbox and queue still know what was asked for, and answer a repetition", async () => {
  const headers = { "idempotency-key": "across" };
  const first = await prepare("across", headers);
  const unpacked = await unpack({ headers: { "idempotency-key": "unpack across", prefer: "wait=60" } });
  expect([first.status, unpacked.status]).toEqual([200, 200]);
  await api.restart();
  const known = await api.ask(placeOf(first));
  expect(known.body).toMatchObject({ state: "done", result: first.body });
  expect((await prepare("across", headers)).body).toEqual(first.body);
  const same = await api.ask(placeOf(unpacked));
  expect(same.body).toMatchObject({ operation: "unpack", state: "done", result: { image: unpacked.body.image } });
  expect((await remove("across")).status).toBe(200);
}, 60_000);
