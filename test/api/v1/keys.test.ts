// Tests keys that URLs change or cut: a request about one never reaches another. Sent byte by byte, over a raw socket.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { type Endpoint, endpoints, isKeyForPath } from "../../../src/api/http/v1/endpoints.ts";
import { RunningApi } from "./running-api.ts";

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** Status and body of the answer to this request line, whose target no client has touched. */
function send(method: string, target: string): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const { port, host } = new URL(api.url);
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: Bearer ${api.token}`,
    "Content-Length: 0",
    "Connection: close",
  ];
  const socket = connect(Number(port), "127.0.0.1", () => socket.write(`${lines.join("\r\n")}\r\n\r\n`));
  let said = "";
  socket.on("data", (chunk) => {
    said += chunk.toString();
  });
  socket.on("error", reject);
  socket.on("close", () => resolve({ status: Number(said.split(" ")[1] ?? 0), text: said }));
  return promise.finally(() => socket.destroy());
}

const pool = "/v1/pools/default";
const keysThere = async () => (await api.pool("/snapshots")).body.items.map(({ key }: { key: string }) => key).sort();

test("no other snapshot answers for a key that a URL changes", async () => {
  const others = ["usage", "mounts", "prepare", "a", "ab", "snapshots"];
  for (const key of others) {
    expect((await send("POST", `${pool}/snapshot/prepare?key=${key}`)).status).toBe(200);
  }
  const dots = [".", "..", "%2e", "%2E%2e", ".%2e", "a#b", "a\tb", "a%2F..", "..%5Ca", "%"];
  for (const key of dots) {
    for (const [method, part] of [
      ["GET", ""],
      ["GET", "/usage"],
      ["GET", "/mounts"],
      ["PATCH", "/labels"],
      ["POST", "/remove-completely"],
      ["DELETE", ""],
    ] as const) {
      const { status, text } = await send(method, `${pool}/snapshots/${key}${part}`);
      const isRefused = status === 0 || status >= 400;
      expect({ method, key, part, isRefused, text }).toMatchObject({ isRefused: true });
    }
  }
  expect(await keysThere()).toEqual(others.toSorted());
  for (const key of others) expect((await send("DELETE", `${pool}/snapshot?key=${key}`)).status).toBe(200);
}, 120_000);

test.each([".", "..", "usage", "a/../b", "%2e", "?#&=+ ", ".hidden"])(
  "key %p has its way in the query",
  async (key) => {
    const query = new URLSearchParams({ key }).toString();
    expect((await send("POST", `${pool}/snapshot/prepare?${query}`)).status).toBe(200);
    const found = await api.pool(`/snapshot?${query}`);
    expect([found.status, found.body.key]).toEqual([200, key]);
    expect((await send("DELETE", `${pool}/snapshot?${query}`)).status).toBe(200);
    expect((await api.pool(`/snapshot?${query}`)).status).toBe(404);
  },
);

test("a key that may have been another is refused with its way out", async () => {
  const { status, text } = await send("GET", `${pool}/snapshots/./usage`);
  expect(status).toBe(400);
  expect(text).toContain("/v1/pools/{pool}/snapshot?key=usage");
});

test.each(["%ff", "caf%E9", "%ed%a0%80", "50%", "%zz"])(
  "a key that is no text, %s, becomes no other",
  async (broken) => {
    for (const target of [`snapshots/${broken}/prepare`, `snapshot/prepare?key=${broken}`]) {
      const { status, text } = await send("POST", `${pool}/${target}`);
      expect([status, text]).toEqual([400, expect.stringContaining("in which % itself is %25")]);
    }
    expect(await keysThere()).toEqual([]);
  },
);

test("a key in the query is given, and given once", async () => {
  for (const query of ["", "?key=", "?key=a&key=b", "?key=a&other=1"]) {
    expect((await send("DELETE", `${pool}/snapshot${query}`)).status).toBe(400);
  }
});

test("with . or .. for any one field, no path of an endpoint is another's of the same method, or it is refused", () => {
  const all = Object.values(endpoints) as readonly Endpoint[];
  for (const { method, path } of all) {
    // No pool has such a name: what is asked for of it is not there, whoever answers.
    for (const [field] of path.matchAll(/\{(?!pool\})\w+\}/g)) {
      for (const dots of [".", ".."]) {
        const became = new URL(path.replace(field, dots).replace(/\{\w+\}/g, "x1-given"), "http://host").pathname;
        const meant = all.find((other) => {
          const pattern = new RegExp(`^${other.path.replace(/\{\w+\}/g, "([^/]+)")}$`);
          return other.method === method && pattern.test(became);
        });
        if (meant === undefined) continue;
        const key = became.split("/").at(-1) ?? "";
        expect([method, path, dots, isKeyForPath(meant, key)]).toEqual([method, path, dots, false]);
      }
    }
  }
});
