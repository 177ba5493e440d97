// The stream by which open pages learn of changes: who gets it, how many, and when it ends.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../../support/until.ts";
import { RunningApi } from "../v1/running-api.ts";
import { Visitor } from "./page-visitor.ts";

setDefaultTimeout(60_000);

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

async function signedIn(token = api.token): Promise<Visitor> {
  const visitor = new Visitor(() => api.url);
  expect(await visitor.signIn(token)).toBe(303);
  return visitor;
}

/** What a stream has said so far, and whether it has ended. */
function listen(answer: Response) {
  const heard = { text: "", hasEnded: false };
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) heard.text += decoder.decode(chunk);
  };
  void read()
    .catch(() => undefined)
    .finally(() => {
      heard.hasEnded = true;
    });
  return heard;
}

const changesIn = ({ text }: { readonly text: string }): number => text.split("event: changed").length - 1;

test("a change is told, by whatever it was made", async () => {
  const visitor = await signedIn();
  const answer = await visitor.send("/events");
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  const heard = listen(answer);
  await until(
    "it is open",
    () => heard.text,
    (text) => text.includes(": open"),
  );
  const before = changesIn(heard);
  await api.pool("/snapshots/told/prepare", { method: "POST", body: {} });
  await until(
    "it is told",
    () => changesIn(heard),
    (count) => count > before,
  );
});

test("a page that follows by the second is told each second, without a change", async () => {
  const visitor = await signedIn();
  const heard = listen(await visitor.send("/events?follows=seconds"));
  await until(
    "three seconds are told",
    () => changesIn(heard),
    (count) => count >= 3,
    8_000,
  );
});

test("a token has sixteen at most, and a place is free again when its page is closed", async () => {
  const token = (await api.place.run("token", "create", "many", "--role", "read")).stdout.trim();
  const visitor = await signedIn(token);
  const open: AbortController[] = [];
  const one = async () => {
    const closing = new AbortController();
    open.push(closing);
    return await fetch(`${api.url}/events`, {
      headers: {
        cookie: [...visitor.cookies].map((pair) => pair.join("=")).join("; "),
        "sec-fetch-site": "same-origin",
      },
      signal: closing.signal,
    });
  };
  // What asks for its headers alone has none open.
  for (const _each of Array(17)) expect((await visitor.send("/events", { method: "HEAD" })).status).toBe(200);
  const answers = await Promise.all(Array.from({ length: 16 }, one));
  expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200));
  expect((await one()).status).toBe(429);
  open[0]?.abort();
  await until(
    "there is room",
    async () => (await one()).status,
    (status) => status === 200,
    10_000,
  );
  for (const closing of open) closing.abort();
});

test("a stream ends when its token is revoked, and is for nobody without a session or from another site", async () => {
  const token = (await api.place.run("token", "create", "brief", "--role", "read")).stdout.trim();
  const visitor = await signedIn(token);
  const heard = listen(await visitor.send("/events"));
  await api.place.run("token", "revoke", "brief");
  await until(
    "it has ended",
    () => heard.hasEnded,
    (hasEnded) => hasEnded,
  );
  expect((await visitor.send("/events", { headers: { accept: "text/event-stream" } })).status).toBe(401);
  const other = await signedIn();
  expect((await other.send("/events", { headers: { "sec-fetch-site": "same-site" } })).status).toBe(403);
});
