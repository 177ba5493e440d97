// Tests how the client follows an operation when its events, its server or its caller go; test/cli/remote-unpack.test.ts has a real one.
import { describe, expect, test } from "bun:test";
import { connect } from "../../src/client/client.ts";
import { followed } from "../../src/client/follow.ts";
import { parseHost } from "../../src/client/host.ts";
import { Transport } from "../../src/client/transport.ts";
import { type Asked, serve } from "./serve.ts";

const place = "/v1/operations/op-1";
const running = { state: "running", progress: ["half"] };
const done = { state: "done", result: { image: "it" } };
const given = { reference: "alpine", platform: "linux/amd64" };

const accepted = () => Response.json(running, { status: 202, headers: { location: place } });
const event = (state: unknown, end = "\n") => `id: 1${end}event: state${end}data: ${JSON.stringify(state)}${end}${end}`;

/** A stream of these pieces, each sent by itself, that then ends, or stays open. */
const streaming = (pieces: readonly string[], stays = false) =>
  new Response(
    new ReadableStream<Uint8Array>({
      async start(controller) {
        for (const piece of pieces) {
          controller.enqueue(new TextEncoder().encode(piece));
          await Bun.sleep(20);
        }
        if (!stays) controller.close();
      },
    }),
    { headers: { "content-type": "text/event-stream" } },
  );

const asking = ({ method, url }: Asked): "post" | "cancel" | "events" | "look" => {
  if (method === "POST") return "post";
  if (method === "DELETE") return "cancel";
  return url.endsWith("/events") ? "events" : "look";
};

type Answers = Readonly<Partial<Record<ReturnType<typeof asking>, (call: number) => Response | Promise<Response>>>>;

/** What is not given answers as for an operation that runs. */
function operated(answers: Answers) {
  const calls = { post: 0, cancel: 0, events: 0, look: 0 };
  const usual = {
    post: accepted,
    cancel: () => Response.json(running),
    events: () => streaming([]),
    look: () => Response.json(running),
  };
  const server = serve((asked) => {
    const what = asking(asked);
    calls[what] += 1;
    return (answers[what] ?? usual[what])(calls[what]);
  });
  return { ...server, calls };
}

const unpackAt = (host: string, options: object = {}) => connect({ host }).pool("default").unpack(given, options);

describe("events", () => {
  test.each([
    ["in one piece", [event(running) + event(done)]],
    ["with CRLF, cut everywhere", Array.from(event(running, "\r\n") + event(done, "\r\n"))],
    ["with CR", [event(running, "\r"), `${event(done, "\r")}\n`]],
    ["with signs of life between", [": there\n\n", event(running), ": there\n\n", event(done)]],
  ])("%s tell progress and result", async (_, pieces) => {
    await using server = operated({ events: () => streaming(pieces) });
    const heard: unknown[] = [];
    expect(await unpackAt(server.host, { onProgress: (layers: unknown) => heard.push(layers) })).toEqual(
      done.result as never,
    );
    expect(heard).toEqual([["half"]]);
    expect(server.calls.look).toBe(0);
  });

  test("cut in the middle of one: the state is asked for, and the events again", async () => {
    await using server = operated({
      events: (call) => streaming(call === 1 ? [event(running), event(done).slice(0, 40)] : [event(done)]),
    });
    expect(await unpackAt(server.host)).toEqual(done.result as never);
    expect(server.calls).toMatchObject({ post: 1, events: 2, look: 1 });
  });

  test("that fall silent are given up, and asked for again", async () => {
    await using server = operated({
      events: (call) => (call === 1 ? streaming([event(running)], true) : streaming([event(done)])),
    });
    const transport = new Transport({ address: parseHost(server.host), token: undefined, ca: undefined });
    const following = {
      transport,
      place,
      operationId: "op-1",
      signal: undefined,
      onProgress: undefined,
      silenceMs: 300,
    };
    expect(await followed(following)).toEqual(done.result);
    expect(server.calls).toMatchObject({ events: 2, look: 1 });
  });

  test("that nobody can hear: the state is asked for until it has ended", async () => {
    const page = () => new Response("<html>", { headers: { "content-type": "text/html" }, status: 502 });
    await using server = operated({ events: page, look: (call) => Response.json(call < 2 ? running : done) });
    expect(await unpackAt(server.host)).toEqual(done.result as never);
  });

  test("a failure has the operation's code, and its ID", async () => {
    const failure = { code: "not_found", message: "there is no image" };
    await using server = operated({ events: () => streaming([event({ state: "failed", failure })]) });
    await expect(unpackAt(server.host, { operationId: "op-of-this-test" })).rejects.toMatchObject({
      ...failure,
      operationId: "op-1",
      repeatAs: "op-of-this-test",
    });
  });

  test("what onProgress throws ends the call", async () => {
    await using server = operated({ events: () => streaming([event(running), event(done)]) });
    const onProgress = () => {
      throw new Error("the terminal is gone");
    };
    await expect(unpackAt(server.host, { onProgress })).rejects.toThrow("the terminal is gone");
  });
});

test("an operation whose first answer was lost is found at its place", async () => {
  const body = {
    type: "urn:snapmill:problem:still-running",
    title: "",
    status: 409,
    detail: "under way",
    code: "aborted",
    wayOut: "wait",
  };
  const headers = { "content-type": "application/problem+json", location: place };
  await using server = operated({
    post: () => new Response(JSON.stringify(body), { status: 409, headers }),
    events: () => streaming([event(done)]),
  });
  expect(await unpackAt(server.host)).toEqual(done.result as never);
});

test("a change that takes longer than its deadline is waited for no longer, and not cancelled", async () => {
  await using server = operated({ events: () => streaming([event(running)], true) });
  const call = connect({ host: server.host })
    .pool("default")
    .prepare({ scope: "s", key: "k", labels: {} }, { deadlineMs: 300 });
  await expect(call).rejects.toMatchObject({ code: "deadline_exceeded" });
  expect(server.calls.cancel).toBe(0);
});

describe("a signal", () => {
  const cancelledAt = (host: string, ms: number) => unpackAt(host, { signal: AbortSignal.timeout(ms) });

  test("that is aborted already sends nothing", async () => {
    await using server = operated({});
    await expect(unpackAt(server.host, { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
    expect(server.asked).toEqual([]);
  });

  test("cancels the operation at its place", async () => {
    await using server = operated({ events: () => streaming([event(running)], true) });
    await expect(cancelledAt(server.host, 300)).rejects.toMatchObject({ name: "TimeoutError" });
    expect(server.calls).toMatchObject({ post: 1, cancel: 1 });
  });

  test("before the place is known cancels it as soon as it is", async () => {
    await using server = operated({ post: () => Bun.sleep(600).then(accepted) });
    await expect(cancelledAt(server.host, 100)).rejects.toMatchObject({ name: "TimeoutError" });
    expect(server.calls).toMatchObject({ post: 1, cancel: 1 });
  });

  test("ends a call that nobody answers", async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    await using server = operated({ post: () => promise });
    await expect(cancelledAt(server.host, 100)).rejects.toMatchObject({ name: "TimeoutError" });
    expect(server.calls).toMatchObject({ post: 1, cancel: 0 });
    resolve(accepted());
  }, 30_000);
});
