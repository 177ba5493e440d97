// Tests what traces cost: nothing where they are not asked for, and one line in the log where the collector is away.
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { childEnvironment, wantsTraces } from "../../src/config.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";

setDefaultTimeout(60_000);

const source = (path: string): string => JSON.stringify(join(import.meta.dir, "../../src", path));

interface Ran {
  readonly stdout: string;
  readonly lines: readonly Record<string, unknown>[];
  readonly tookMs: number;
}

/** Runs a program that has `telemetry`, as the environment asks for it, and `inWork`. */
async function run(program: string, environment: Readonly<Record<string, string>>): Promise<Ran> {
  const script = `
    const { createLogger } = await import(${source("logger.ts")});
    const { wantsTraces } = await import(${source("config.ts")});
    const { startTelemetry } = await import(${source("telemetry/start.ts")});
    const { inWork, traceparent, isTracing } = await import(${source("domain/work.ts")});
    const log = createLogger({ name: "test", level: "info", format: "json" });
    const telemetry = await startTelemetry({ process: "test", isTraced: wantsTraces(), log });
    ${program}
    await telemetry[Symbol.asyncDispose]();
    process.exit();`;
  const startedMs = performance.now();
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { ...childEnvironment({}), ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect({ code: await child.exited, stderr }).toMatchObject({ code: 0 });
  const lines = stderr
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { stdout, lines, tookMs: performance.now() - startedMs };
}

const whatIsLoaded = `
  const isLoaded = Symbol.for("opentelemetry.js.api.1") in globalThis;
  process.stdout.write(JSON.stringify({ isTracing: isTracing(), isLoaded }));`;

// The library's interface is known by what it puts there (opentelemetry-js: api/src/internal/global-utils.ts).
test("where traces are not asked for, nothing of the library is loaded; where they are, it is", async () => {
  const off = await run(whatIsLoaded, {});
  expect(JSON.parse(off.stdout)).toEqual({ isTracing: false, isLoaded: false });
  using collector = new OtlpReceiver();
  const on = await run(whatIsLoaded, collector.environment);
  expect(JSON.parse(on.stdout)).toEqual({ isTracing: true, isLoaded: true });
});

test.each<[boolean, Record<string, string>]>([
  [false, {}],
  [false, { OTEL_SERVICE_NAME: "x" }],
  [false, { OTEL_EXPORTER_OTLP_ENDPOINT: "" }],
  [true, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" }],
  [true, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4318/v1/traces" }],
  [false, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318", OTEL_SDK_DISABLED: "true" }],
  [false, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318", OTEL_TRACES_EXPORTER: "none" }],
])("traces are wanted: %p with %p", (wanted, environment) => {
  expect(wantsTraces(environment)).toBe(wanted);
});

const manyAtOnce = `
  for (let n = 0; n < 3_000; n += 1) inWork({ name: "many", kind: "server" }, () => undefined);`;

const twoSpans = `
  await inWork({ name: "outer", kind: "server", fields: { key: "k".repeat(10_000) } }, async () => {
    await inWork({ name: "inner", attributes: { list: ["redis://u:planted@h", "b"] } }, async () => log.info("inside"));
  });
  await inWork({ name: "part of nothing" }, async () => undefined);`;

test("the end of a process sends its spans: named, cut, without secrets, and in the trace that its log names", async () => {
  using collector = new OtlpReceiver();
  const { lines } = await run(twoSpans, { ...collector.environment, OTEL_SERVICE_NAME: "mill" });
  expect(collector.spans.map((span) => collector.pathOf(span))).toEqual([["outer", "inner"], ["outer"]]);
  const [inner, outer] = collector.spans;
  expect(outer?.attributes["snapmill.key"]).toHaveLength(512);
  expect(inner?.attributes["list"]).toEqual(["redis://***@h", "b"]);
  expect(inner?.resource).toMatchObject({ "service.name": "mill", "snapmill.process": "test" });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ msg: "inside", traceId: inner?.traceId });
});

test.each<[string, number]>([
  ["always_off", 0],
  ["parentbased_always_on", 2],
])("OTEL_TRACES_SAMPLER=%s sends %p spans", async (sampler, spans) => {
  using collector = new OtlpReceiver();
  await run(twoSpans, { ...collector.environment, OTEL_TRACES_SAMPLER: sampler });
  expect(collector.spans).toHaveLength(spans);
});

test.each<[string, number]>([
  ["refuses connections", 0],
  ["asks to come again", 503],
  ["has no such place", 404],
])("a process whose collector %s ends as if it had none, and says so in one line", async (_what, status) => {
  using collector = new OtlpReceiver();
  collector.status = status;
  const endpoint = status === 0 ? { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" } : {};
  const { lines } = await run(twoSpans + manyAtOnce, { ...collector.environment, ...endpoint });
  // Where its end took longer, a second line would say that the last spans were not taken.
  expect(lines.filter(({ msg }) => msg !== "inside").map(({ msg }) => msg)).toEqual([
    expect.stringMatching(/^traces cannot be sent to the collector: .* tried again in 5 s$/),
  ]);
});

test("a collector that accepts and never answers holds the end of a process up for two seconds, or a quarter of one", async () => {
  using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${silent.port}`, OTEL_BSP_SCHEDULE_DELAY: "10" };
  const saidAfter = async (restMs: number, more: Record<string, string> = {}) => {
    const { lines } = await run(`${twoSpans} await Bun.sleep(${restMs});`, { ...environment, ...more });
    return lines.map(({ msg }) => String(msg)).filter((msg) => msg !== "inside");
  };
  const cannot = "traces cannot be sent to the collector";
  expect(await saidAfter(0)).toEqual([`${cannot}: it has not taken the last ones within 2 s`]);
  expect(await saidAfter(2_500)).toEqual([`${cannot}: it has not taken the last ones within 0.25 s`]);
  const [failed, ...others] = await saidAfter(1_500, { OTEL_EXPORTER_OTLP_TIMEOUT: "500" });
  expect(failed).toMatch(/: it has not answered within 0.5 s; they are dropped, and it is tried again in 5 s$/);
  expect(others).toEqual([]);
});

const manySpans = `
  for (let round = 0; round < 20; round += 1) {
    for (let n = 0; n < 1_000; n += 1) await inWork({ name: "many", kind: "server" }, async () => undefined);
    await Bun.sleep(50);
  }`;

test.each<[string, (collector: OtlpReceiver) => string]>([
  ["refuses connections", () => "http://127.0.0.1:1"],
  ["answers with an error", (collector) => collector.endpoint],
])("a collector that %s costs a line in the log, and holds nothing up", async (_what, endpointOf) => {
  using collector = new OtlpReceiver();
  collector.status = 400;
  const environment = { ...collector.environment, OTEL_EXPORTER_OTLP_ENDPOINT: endpointOf(collector) };
  const { lines } = await run(manySpans, environment);
  // On a busy machine this takes longer than the first pause: then the second failure is counted in a line of its own.
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThanOrEqual(2);
  for (const { msg } of lines) expect(msg).toStartWith("traces cannot be sent to the collector");
  expect(collector.authorizations.length).toBeLessThanOrEqual(4);
});
