// Tests that one trace leads from a command or a request to the driver's calls and the commands they run; failures, retries and dead workers included.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { deviceOf } from "../../src/metadata/snapshots.ts";
import { SnapshotsClient } from "../api/grpc/client.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { type Started, TestSnapmill } from "../support/test-snapmill.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

const givenTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
const givenSpan = "00f067aa0ba902b7";
const secret = "planted1";

/** Taken for a moment, to learn a port that is free. */
const free = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
const httpAddress = `127.0.0.1:${String(free.port)}`;
await free.stop(true);

const collector = new OtlpReceiver();
const toCollector = {
  ...collector.environment,
  OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${secret}`,
};
const snapmill = new TestSnapmill({
  ...toCollector,
  OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
  TRACEPARENT: `00-${givenTrace}-${givenSpan}-01`,
  SNAPMILL_HTTP_ADDRESS: httpAddress,
  SNAPMILL_ASYNC_REMOVE: "true",
  SNAPMILL_UNPACK_WORKERS: "1",
});
let up: Started;

beforeAll(async () => {
  up = snapmill.start(["up"]);
  const ask = () => fetch(`http://${httpAddress}/readyz`).then(({ status }) => status, String);
  await until("up is ready", ask, (status) => status === 200, 120_000);
});
afterAll(async () => {
  await snapmill.run(["rm", "build", "over-http", "over-http-too"]);
  await until(
    "the removed devices are gone",
    () => snapmill.residue().filter((line) => line.startsWith("device")),
    (left) => left.length === 0,
    60_000,
  );
  up.kill("SIGTERM");
  await up.finished;
  expect(snapmill.residue()).toEqual([]);
  snapmill[Symbol.dispose]();
  collector[Symbol.dispose]();
});

function deviceOfKey(key: string): { readonly devicePath: string } {
  using database = openDatabase(paths.database(snapmill.config), { mode: "readonly" });
  const { deviceName } = deviceOf(database, ownScope, snapshotKey(key));
  return { devicePath: join(paths.devices(snapmill.config), deviceName) };
}

/** The paths of all spans of that name, once there is one that `suits`. */
async function pathsTo(name: string, suits: (path: string) => boolean): Promise<string[]> {
  const look = () => collector.named(name).map((span) => collector.pathOf(span).join(" > "));
  return await until(`a span ${name}`, look, (found) => found.some(suits), 60_000);
}

const jobPath = "snapmill prepare > call prepare > enqueue prepare > job prepare";

test("a command's trace leads through the queue and the journal to the driver, and to the commands that it runs", async () => {
  expect((await snapmill.run(["prepare", "build"])).exitCode).toBe(0);
  const wanted = `${jobPath} > effects prepare > driver activate`;
  expect(await pathsTo("driver activate", (path) => path === wanted)).toContain(wanted);
  const found = collector.spans.map((span) => collector.pathOf(span).join(" > "));
  expect(found).toContain("snapmill prepare > call prepare > enqueue prepare > wait prepare");
  expect(found).toContain(`${jobPath} > lane prepare`);
  expect(found).toContain(`${jobPath} > journal intent`);
  expect(found).toContain(`${jobPath} > journal result`);
  expect(found.some((path) => path.startsWith(jobPath) && path.endsWith("> command mkfs.ext4"))).toBe(true);

  const [job] = collector.named("job prepare");
  expect(job).toMatchObject({ traceId: givenTrace, hasFailed: false });
  expect(job?.attributes).toMatchObject({
    "snapmill.pool": "default",
    "snapmill.key": "build",
    "snapmill.job": "prepare",
    "snapmill.attempt": 1,
  });
  expect(job?.attributes["snapmill.operation_id"]).toStartWith("op-");
  expect(job?.resource).toMatchObject({
    "service.name": "snapmill",
    "snapmill.process": "pool",
    "deployment.environment.name": "test",
  });
  expect(collector.named("snapmill prepare")[0]).toMatchObject({ parentSpanId: givenSpan });
});

test("a failure is marked where it happened and on the way back", async () => {
  expect((await snapmill.run(["rm", "none-of-that-name"])).exitCode).toBe(1);
  expect((await snapmill.run(["prepare", "build"])).exitCode).toBe(1);
  const failed = () => collector.spans.filter(({ hasFailed }) => hasFailed);
  const names = await until(
    "the failure",
    () => failed().map(({ name }) => name),
    (found) => found.includes("job prepare") && found.includes("snapmill prepare"),
    60_000,
  );
  expect(names).toContain("call prepare");
  const marked = failed().find(({ name }) => name === "job prepare");
  expect(marked?.attributes["error.type"]).toBe("already_exists");
});

test("an unpack is one trace, from the command through the outbox to each layer's stages", async () => {
  const { reference } = await writeSmallImage(join(snapmill.directory, "image"));
  await snapmill.unpack(reference);
  const wanted = "enqueue unpack > job unpack > unpack > layer > flush";
  const [path] = await pathsTo("flush", (found) => found.endsWith(wanted));
  expect(path).toStartWith("snapmill unpack > ");
  const below = () =>
    collector.spans
      .filter((span) => span.traceId === givenTrace && collector.pathOf(span).includes("layer"))
      .map((span) => collector.pathOf(span).at(-1));
  const ofWriter = ["inflate", "write", "flush", "mount"];
  const ofPool = ["prepare", "job commit-copies", "driver adopt", "commit", "job commit", "driver flush"];
  // Each process tells of its own spans, when it likes.
  await until("the spans of a layer", below, (names) => [...ofWriter, ...ofPool].every((name) => names.includes(name)));
  expect(collector.named("resolve").map((span) => collector.pathOf(span).at(-2))).toContain("job unpack");
  expect(collector.named("layer")[0]?.attributes["snapmill.layer"]).toStartWith("sha256:");
});

test("a request over HTTP is part of its caller's trace, down to the driver; what is no traceparent is ignored", async () => {
  const token = readFileSync(paths.httpToken(snapmill.config), "utf8").trim();
  const ask = (key: string, traceparent: string) =>
    fetch(`http://${httpAddress}/v1/pools/default/snapshots/${key}/prepare`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", traceparent },
      body: JSON.stringify({ labels: {} }),
    });
  const callers = "11111111111111111111111111111111";
  expect((await ask("over-http", `00-${callers}-${givenSpan}-01`)).status).toBeLessThan(300);
  expect((await ask("over-http-too", `00-${"0".repeat(32)}-${givenSpan}-01`)).status).toBeLessThan(300);
  const ofKey = (key: string) =>
    collector.spans.find(({ name, attributes }) => name === "job prepare" && attributes["snapmill.key"] === key);
  const request = "POST /v1/pools/:pool/snapshots/:key/prepare";
  await until(
    "the requests' spans",
    () => collector.spans.flatMap(({ name }) => (name.startsWith("POST ") ? [name] : [])),
    (found) => found.filter((name) => name === request).length === 2,
    60_000,
  );
  const job = await until("the job's span", () => ofKey("over-http"), undefined, 60_000);
  expect(job?.traceId).toBe(callers);
  expect(job && collector.pathOf(job)).toEqual([request, "call prepare", "enqueue prepare", "job prepare"]);
  const other = await until("the other job's span", () => ofKey("over-http-too"), undefined, 60_000);
  expect([callers, givenTrace, "0".repeat(32)]).not.toContain(other?.traceId ?? "");
  const activations = collector.named("driver activate").filter(({ traceId }) => traceId === callers);
  expect(activations.map((span) => collector.pathOf(span).at(0))).toEqual([request]);
});

test("a job that is retried shows each of its attempts, in the trace of the request that it is for", async () => {
  expect((await snapmill.run(["prepare", "busy"])).exitCode).toBe(0);
  const { devicePath } = deviceOfKey("busy");
  const open = openSync(devicePath, "r");
  try {
    expect((await snapmill.run(["rm", "busy"])).exitCode).toBe(0);
    const attempts = () => collector.named("job remove-device").map(({ attributes }) => attributes["snapmill.attempt"]);
    await until("two attempts", attempts, (found) => found.includes(1) && found.includes(2), 60_000);
  } finally {
    closeSync(open);
  }
  const done = () => collector.named("job remove-device").find(({ hasFailed }) => !hasFailed);
  const last = await until("the one that succeeds", done, undefined, 120_000);
  expect(collector.named("job remove-device").filter(({ hasFailed }) => hasFailed).length).toBeGreaterThanOrEqual(2);
  expect(last && collector.pathOf(last)).toEqual([
    "snapmill rm",
    "call remove",
    "enqueue remove",
    "job remove",
    "enqueue remove-device",
    "job remove-device",
  ]);
});

test("a worker that is killed leaves a trace that goes on: the attempt of the next one is part of it", async () => {
  using other = new TestSnapmill({ ...toCollector, SNAPMILL_UNPACK_WORKERS: "1" });
  const { reference } = await writeSmallImage(join(other.directory, "image"));
  expect((await other.run(["unpack", reference], "unpack.prepared")).exitCode).toBe(0);
  expect(other.faultHappened).toBe(true);
  const again = () =>
    collector.named("job unpack").find(({ attributes }) => attributes["snapmill.attempts_begun"] === 2);
  const job = await until("the second attempt", again, undefined, 60_000);
  expect(job && collector.pathOf(job)).toEqual([
    "snapmill unpack",
    "call accept-unpack",
    "enqueue accept-unpack",
    "job accept-unpack",
    "enqueue unpack",
    "job unpack",
  ]);
  expect(job?.traceId).not.toBe(givenTrace);
});

test("a call of containerd is part of its caller's trace; what is no traceparent is ignored", async () => {
  const callers = "22222222222222222222222222222222";
  using client = new SnapshotsClient(snapmill.config.grpcAddress ?? "");
  const given: Readonly<Record<string, string>> = {
    known: `00-${callers}-${givenSpan}-01`,
    zero: `00-${"0".repeat(32)}-${givenSpan}-01`,
    forbidden: `ff-${callers}-${givenSpan}-01`,
    long: `00-${callers}-${givenSpan}-01-${"x".repeat(1_000)}`,
  };
  for (const [key, header] of Object.entries(given)) {
    await client.call("prepare", { key }, { metadata: { traceparent: header } });
    await client.call("remove", { key });
  }
  const ofKey = (key: string) =>
    collector.named("job prepare").find(({ attributes }) => attributes["snapmill.key"] === key);
  const pathOfKey = (key: string) => {
    const job = ofKey(key);
    return job === undefined ? "" : collector.pathOf(job).join(" > ");
  };
  const wanted = "Snapshots/Prepare > call prepare > enqueue prepare > job prepare";
  for (const key of Object.keys(given)) {
    await until(
      `the spans of ${key}`,
      () => pathOfKey(key),
      (path) => path === wanted,
      60_000,
    );
  }
  expect(ofKey("known")?.traceId).toBe(callers);
  const begun = collector.named("Snapshots/Prepare").find(({ attributes }) => attributes["snapmill.key"] === "known");
  expect(begun?.parentSpanId).toBe(givenSpan);
  const own = Object.keys(given).flatMap((key) => (key === "known" ? [] : [ofKey(key)?.traceId]));
  expect(new Set(own).size).toBe(own.length);
  for (const traceId of [callers, givenTrace, "0".repeat(32)]) expect(own).not.toContain(traceId);
});

test("no secret is in a span or a log", async () => {
  expect(collector.authorizations.length).toBeGreaterThan(0);
  expect(new Set(collector.authorizations)).toEqual(new Set([`Bearer ${secret}`]));
  expect(collector.received).not.toContain(secret);
  expect(up.said()).not.toContain(secret);
});
