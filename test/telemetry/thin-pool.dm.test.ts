// Tests that one trace leads from a request to what the kernel was asked: to each dmsetup, or to each call of libdevmapper.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type DmControlName, dmControlNames } from "../../src/drivers/devicemapper/control/control.ts";
import { PlaceWithFile, type Up, untilHealthy, urlIn } from "../supervisor/running-up.ts";
import { OtlpReceiver, type ReceivedSpan } from "../support/otlp-receiver.ts";
import { loadedDevices } from "../support/thin-pool.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

const caller = "00f067aa0ba902b7";
const unique = `trace-${crypto.randomUUID().slice(0, 8)}`;
const poolOf = (control: DmControlName): string => `${unique}-${control}`;

const collector = new OtlpReceiver();
/** Only what the test needs: in the guest, each process takes seconds to start. */
const place = new PlaceWithFile(
  () =>
    dmControlNames.flatMap((control) => [
      `[pools.${poolOf(control)}]`,
      'driver = "devmapper"',
      `dm-control = "${control}"`,
      'size = "320MiB"',
      'grpc-address = ""',
    ]),
  { ...collector.environment, SNAPMILL_POOL_SIZE: undefined },
);
let up: Up;
let url = "";

beforeAll(async () => {
  up = place.up();
  url = urlIn(await up.ready());
  await untilHealthy(url, place);
});
afterAll(async () => {
  expect(await up.end("SIGTERM")).toBe(0);
  expect([...place.residue(), ...(await loadedDevices(unique))]).toEqual([]);
  place[Symbol.dispose]();
  collector[Symbol.dispose]();
});

/**
 * Prepares a snapshot as part of a caller's trace; the spans of it, once its answer was sent and none is missing. Where the
 * guest is so slow that Redis seems to be away, the caller asks again, in another trace.
 */
async function traced(control: DmControlName, last: string): Promise<readonly ReceivedSpan[]> {
  const ask = async () => {
    const trace = crypto.randomUUID().replaceAll("-", "");
    const answer = await fetch(`${url}/v1/pools/${poolOf(control)}/snapshots/${trace}/prepare`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${place.token}`,
        "content-type": "application/json",
        traceparent: `00-${trace}-${caller}-01`,
      },
      body: "{}",
    });
    return { trace, status: answer.status, said: await answer.text() };
  };
  const { trace, ...answer } = await until("an answer", ask, ({ status }) => status !== 503, 60_000);
  expect(answer).toMatchObject({ status: 200 });
  const spans = () => collector.spans.filter(({ traceId }) => traceId === trace);
  const isWhole = (found: readonly ReceivedSpan[]) =>
    found.some(({ name }) => name === root) &&
    found.some(({ name }) => name === last) &&
    found.every(({ parentSpanId }) => parentSpanId === caller || found.some(({ spanId }) => spanId === parentSpanId));
  return await until("the whole trace", spans, isWhole, 60_000);
}

const root = "POST /v1/pools/:pool/snapshots/:key/prepare";
const job = `${root} > call prepare > enqueue prepare > job prepare`;

test.each(dmControlNames)("a request's trace leads through queue, journal and driver to %s", async (control) => {
  const spans = await traced(control, "journal result");
  const paths = spans.map((span) => collector.pathOf(span).join(" > "));
  const activation = `${job} > effects prepare > driver activate`;
  expect(paths).toEqual(
    expect.arrayContaining([
      root,
      `${root} > call prepare > enqueue prepare > wait prepare`,
      `${job} > lane prepare`,
      `${job} > journal intent`,
      `${activation} > dm create`,
      `${job} > journal result`,
    ]),
  );
  // Nothing of this trace began anywhere else, and none of it failed.
  expect(spans.filter(({ parentSpanId }) => parentSpanId === caller).map(({ name }) => name)).toEqual([root]);
  expect(spans.filter(({ hasFailed }) => hasFailed)).toEqual([]);

  const asked = spans.filter(({ name }) => name.startsWith("dm "));
  expect(asked.map(({ attributes }) => attributes["snapmill.dm_control"])).toEqual(asked.map(() => control));
  const commands = spans.filter(({ name }) => name === "command dmsetup");
  const askedBy = (spanId: string | undefined) => asked.find((span) => span.spanId === spanId);
  // With dmsetup, one process for each call, and its arguments; with libdevmapper, none.
  const run = commands.map(({ parentSpanId }) => askedBy(parentSpanId)?.spanId ?? "none");
  expect(new Set(run)).toEqual(new Set(control === "dmsetup" ? asked.map(({ spanId }) => spanId) : []));
  expect(run).toHaveLength(control === "dmsetup" ? asked.length : 0);
  const device = spans.find(({ name }) => name === "driver activate")?.attributes["snapmill.device"];
  expect(device).toStartWith(`${poolOf(control)}-snap-`);
  const create = asked.find((span) => collector.pathOf(span).join(" > ") === `${activation} > dm create`);
  expect(create?.attributes["snapmill.device"]).toBe(device ?? "none");
  const process = commands.find(({ parentSpanId }) => parentSpanId === create?.spanId);
  expect(process?.attributes["process.command_args"]).toEqual(
    control === "dmsetup" ? expect.arrayContaining(["create", device]) : undefined,
  );
});
