// Room: test. Owns documents that a registry sends byte by byte, never silent for long.
import { expect, test } from "bun:test";
import { readWhole, sendRequest } from "../../../src/images/registry/transport.ts";
import { failureOf } from "./fixture.ts";

/** A byte every few milliseconds, until its reader goes. */
function trickle(): ReadableStream<Uint8Array> {
  let timer: Timer | undefined;
  return new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new Uint8Array([0x20])), 5);
    },
    cancel: () => clearInterval(timer),
  });
}

test("a document that trickles ends after twice the time that silence may last, and is not asked for again", async () => {
  let asked = 0;
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      asked += 1;
      return new Response(trickle());
    },
  });
  const reply = await sendRequest({
    method: "GET",
    url: server.url,
    secretHeaders: {},
    headers: {},
    tls: {},
    subject: { host: server.url.host, repository: "org/app", what: "the tag latest" },
    idleMs: 200,
    signal: undefined,
  });
  expect(await failureOf(readWhole(reply, 4 << 20))).toMatchObject({
    code: "deadline_exceeded",
    message: expect.stringContaining("took more than 0.4 s"),
  });
  expect(asked).toBe(1);
});
