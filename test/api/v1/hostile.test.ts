// Requests that mean harm, byte by byte, against a real `up`: each has a clean refusal, and none leaves a trace it should not.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { sendRaw } from "../../support/raw-http.ts";
import { RunningApi } from "./running-api.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let port = 0;
beforeAll(async () => {
  api = await RunningApi.start();
  port = Number(new URL(api.url).port);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const pool = "/v1/pools/default";
const prepare = `${pool}/snapshots/hostile/prepare`;
const host = () => `Host: 127.0.0.1:${port}`;
const token = () => `Authorization: Bearer ${api.token}`;
const json = "Content-Type: application/json";
const lines = (...all: readonly string[]) => `${all.join("\r\n")}\r\n\r\n`;
const get = (path: string, ...headers: readonly string[]) =>
  lines(`GET ${path} HTTP/1.1`, host(), token(), "Connection: close", ...headers);
const post = (body: string | Uint8Array, ...headers: readonly string[]) => {
  const bytes = Buffer.from(body);
  const head = lines(`POST ${prepare} HTTP/1.1`, host(), token(), json, `Content-Length: ${bytes.length}`, ...headers);
  return Buffer.concat([Buffer.from(head), bytes]);
};
const posting = (...headers: readonly string[]) => lines(`POST ${prepare} HTTP/1.1`, host(), token(), json, ...headers);
const method = (name: string, path = "/v1/pools") => lines(`${name} ${path} HTTP/1.1`, host(), token());
const deep = (depth: number) => `{"labels":${'{"a":'.repeat(depth)}1${"}".repeat(depth)}}`;

/** `by`: who answers, if not /v1 with a problem. Bun has a status alone for what snapmill never sees. */
type Row = readonly [
  what: string,
  statuses: readonly number[],
  bytes: () => string | Uint8Array,
  by?: "Bun" | "the pages",
];

/** 0: closed without an answer. */
const rows: readonly Row[] = [
  // Paths.
  ["a path that climbs", [404], () => get("/v1/../../etc/passwd"), "the pages"],
  ["a path that climbs, encoded", [404], () => get("/v1/..%2f..%2fetc%2fpasswd")],
  ["a path that climbs, encoded twice", [404], () => get("/v1/%252e%252e%252fetc%252fpasswd")],
  ["a path that climbs by backslashes", [404], () => get("/v1/..\\..\\etc\\passwd"), "the pages"],
  ["a key that climbs", [404], () => get(`${pool}/snapshots/..%2f..%2f..%2fetc%2fpasswd`)],
  ["a key with a NUL", [400], () => get(`${pool}/snapshots/a%00b`)],
  ["a key that is half of UTF-8", [400], () => get(`${pool}/snapshots/%ff%fe`)],
  ["a key that is half of UTF-8, in the query", [400], () => get(`${pool}/snapshot?key=%ff%fe`)],
  ["a key with a broken escape", [400], () => get(`${pool}/snapshots/%zz`)],
  ["a filter with a broken escape", [400], () => get(`${pool}/snapshots?filters=labels.share~=100%`)],
  ["a pool that climbs", [400, 404], () => get("/v1/pools/..%2fdefault/snapshots")],
  ["a pool of a prototype", [400, 404], () => get("/v1/pools/__proto__/snapshots")],
  ["a pool that is a constructor", [400, 404], () => get("/v1/pools/constructor/snapshots")],
  ["a path of 20,000 characters", [431], () => get(`/v1/${"a".repeat(20_000)}`), "Bun"],
  ["a key of 5,000 characters", [400], () => get(`${pool}/snapshots/${"k".repeat(5_000)}`)],
  ["another's address in the request line", [404], () => get("http://evil.example/v1/nothing")],
  ["no path at all", [400, 0], () => get("nothing"), "Bun"],
  // Queries.
  ["a parameter of a prototype", [400], () => get(`${pool}/snapshots?__proto__=1`)],
  ["a limit that is huge", [400], () => get(`${pool}/snapshots?limit=99999999999999999999`)],
  ["a limit that is negative", [400], () => get(`${pool}/snapshots?limit=-1`)],
  ["a limit that is no number", [400], () => get(`${pool}/snapshots?limit=1e3`)],
  ["a cursor given twice", [400], () => get(`${pool}/snapshots?cursor=WyJhIl0&cursor=WyJiIl0`)],
  ["a limit given twice", [400], () => get(`${pool}/snapshots?limit=1&limit=2`)],
  ["a cursor that is nobody's", [400], () => get(`${pool}/snapshots?cursor=AAAA`)],
  ["a cursor of the audit log that is none", [400], () => get("/v1/audit?cursor=WyI5OTk5OTk5OTk5OTk5OTk5OTk5Il0")],
  ["a filter that explodes", [400], () => get(`${pool}/snapshots?filters=name~=(${"(a{1000}){1000}"}{1000})`)],
  // Bodies.
  ["no JSON", [400], () => post("<xml/>")],
  ["half of JSON", [400], () => post('{"labels":')],
  ["an array", [400], () => post("[]")],
  ["null", [400], () => post("null")],
  ["a number with 10,000 digits", [400], () => post(`{"labels":{"a":${"9".repeat(10_000)}}}`)],
  ["a number beyond all", [400], () => post('{"labels":1e999}')],
  ["depth 100,000", [400], () => post(deep(100_000))],
  ["a MiB of brackets", [400], () => post("[".repeat(2 ** 20))],
  ["a prototype as a field", [400], () => post('{"__proto__":{"role":"operate"}}')],
  ["a constructor as a field", [400], () => post('{"constructor":{"prototype":{}}}')],
  ["a prototype as a label", [400], () => post('{"labels":{"__proto__":{"x":"y"}}}')],
  ["a label that is half of a character", [400], () => post('{"labels":{"a":"\\ud800"}}')],
  ["a label's name that is half of a character", [400], () => post('{"labels":{"\\udfff":"a"}}')],
  ["a parent that is half of a character", [400], () => post('{"parent":"\\uD83d"}')],
  ["a key given twice, the second wrong", [400], () => post('{"labels":{},"labels":7}')],
  ["bytes that are no UTF-8", [400], () => post(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]))],
  ["UTF-16", [400], () => post(Buffer.from('{"labels":{}}', "utf16le"))],
  [
    "another type",
    [415],
    () => `${posting("Content-Type: text/plain", "Content-Length: 2").replace(`${json}\r\n`, "")}{}`,
  ],
  [
    "a form",
    [415],
    () =>
      posting("Content-Type: application/x-www-form-urlencoded", "Content-Length: 3").replace(`${json}\r\n`, "") +
      "a=b",
  ],
  ["a compressed body", [415], () => post(Bun.gzipSync(Buffer.from("{}")), "Content-Encoding: gzip")],
  ["more than 1 MiB", [413], () => posting(`Content-Length: ${2 ** 20 + 1}`)],
  ["more than 1 MiB, all of it", [413], () => post(" ".repeat(2 ** 20 + 1))],
  ["more than 1 GiB", [413], () => posting(`Content-Length: ${2 ** 30 + 1}`)],
  ["more than 1 MiB for no one", [404], () => posting(`Content-Length: ${2 ** 30}`).replace(prepare, "/v1/nothing")],
  ["more than 1 MiB without a token", [401], () => posting(`Content-Length: ${2 ** 30}`).replace(token(), "X: y")],
  [
    "more than 1 MiB where no body is",
    [413],
    () => posting(`Content-Length: ${2 ** 21}`).replace(prepare, `${pool}/resume`),
  ],
  [
    "more than 1 MiB in chunks",
    [413],
    () => posting("Transfer-Encoding: chunked") + `10000\r\n${" ".repeat(65_536)}\r\n`.repeat(17),
  ],
  // Smuggling.
  ["a length and chunks", [400], () => `${posting("Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`, "Bun"],
  ["two lengths", [400], () => `${posting("Content-Length: 2", "Content-Length: 5")}{}`, "Bun"],
  ["a length with a sign", [400], () => `${posting("Content-Length: +2")}{}`, "Bun"],
  ["a length in hexadecimal", [400], () => `${posting("Content-Length: 0x2")}{}`, "Bun"],
  ["an endless length", [400, 413], () => posting("Content-Length: 99999999999999999999"), "Bun"],
  ["chunks of a negative size", [400], () => `${posting("Transfer-Encoding: chunked")}-1\r\n{}\r\n0\r\n\r\n`, "Bun"],
  [
    "chunks of an overflowing size",
    [400, 413],
    () => `${posting("Transfer-Encoding: chunked")}FFFFFFFFFFFFFFFF2\r\n{}\r\n`,
    "Bun",
  ],
  ["an unknown transfer", [400], () => `${posting("Transfer-Encoding: xchunked")}0\r\n\r\n`, "Bun"],
  [
    "two transfers",
    [400],
    () => `${posting("Transfer-Encoding: chunked", "Transfer-Encoding: identity")}0\r\n\r\n`,
    "Bun",
  ],
  ["a space before a colon", [400], () => `${posting("Transfer-Encoding : chunked")}0\r\n\r\n`, "Bun"],
  ["a folded header", [400], () => get("/v1/pools", "X: a\r\n b"), "Bun"],
  ["a NUL in a header", [400], () => get("/v1/pools", "X: a\0b"), "Bun"],
  ["a carriage return in a header", [400], () => get("/v1/pools", "X: a\rb"), "Bun"],
  // 505 is the parser's word for a request line that it cannot read; snapmill does not see it.
  ["bare line feeds", [400, 505], () => get("/v1/pools").replaceAll("\r\n", "\n"), "Bun"],
  ["HTTP/0.9", [400, 505], () => "GET /v1/pools\r\n\r\n", "Bun"],
  ["HTTP/2's preface", [400, 505, 0], () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "Bun"],
  ["TLS to plain HTTP", [400, 0], () => Buffer.from("16030100f1010000ed0303", "hex"), "Bun"],
  // Headers, tokens, names, methods.
  ["20 kB of a header", [431], () => get("/v1/pools", `X: ${"x".repeat(20_000)}`), "Bun"],
  ["500 headers", [431], () => get("/v1/pools", ...Array<string>(500).fill("X: y")), "Bun"],
  ["two tokens", [401], () => get("/v1/pools", "Authorization: Bearer another")],
  [
    "a token of 10,000 characters",
    [401],
    () => lines("GET /v1/pools HTTP/1.1", host(), `Authorization: Bearer ${"t".repeat(10_000)}`),
  ],
  ["a token in the query", [401], () => lines(`GET /v1/pools?token=${api.token} HTTP/1.1`, host())],
  ["a token in a cookie", [401], () => lines("GET /v1/pools HTTP/1.1", host(), `Cookie: token=${api.token}`)],
  ["a broken Basic", [401], () => lines("GET /v1/pools HTTP/1.1", host(), "Authorization: Basic %%%")],
  ["a rebound name", [421], () => lines("GET /v1/pools HTTP/1.1", "Host: evil.example", token())],
  ["a rebound name at no address", [421], () => lines("GET /nothing HTTP/1.1", "Host: evil.example"), "the pages"],
  ["two hosts", [421], () => get("/v1/pools", "Host: evil.example")],
  ["no host", [400, 421], () => lines("GET /v1/pools HTTP/1.1", token()), "Bun"],
  ["a host with a user", [421], () => lines("GET /v1/pools HTTP/1.1", `Host: evil@127.0.0.1:${port}`, token())],
  ["TRACE", [405], () => method("TRACE")],
  ["CONNECT", [400, 405, 421], () => method("CONNECT", `127.0.0.1:${port}`), "the pages"],
  ["an unknown method", [405, 0], () => method("BREW"), "Bun"],
  ["a method in lower case", [405, 0], () => method("get"), "Bun"],
  ["a method that is not there", [405], () => method("PATCH")],
  [
    "a method in a header",
    [405, 404],
    () => post("{}", "X-HTTP-Method-Override: DELETE").toString().replace(prepare, "/v1/pools"),
  ],
];

test.each(rows.map((row) => [row[0], row] as const))("%s is refused", async (_what, [, statuses, bytes, by]) => {
  const { status, text } = await sendRaw(port, bytes());
  expect(statuses).toContain(status);
  expect(text).not.toContain(api.token);
  // A problem tells where it went wrong, never where in the program.
  expect(text).not.toMatch(/\bat .*\.ts:\d+|node_modules|root:x:/);
  if (by === "the pages") expect(text).toMatch(/^content-type: text\/plain/im);
  if (by !== undefined) return;
  expect(text).toMatch(/^content-type: application\/problem\+json\r$/im);
  expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n")))).toEqual({
    type: expect.stringMatching(/^urn:snapmill:problem:[a-z-]+$/),
    title: expect.any(String),
    status,
    detail: expect.stringMatching(/./),
    code: expect.stringMatching(/^[a-z_]+$/),
    wayOut: expect.any(String),
  });
});

/** What a client that never stops gets rid of, and what it is told. */
async function pour(head: string, chunk: Uint8Array): Promise<{ readonly sentBytes: number; readonly said: string }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let said = "";
  const socket = connect(port, "127.0.0.1", () => socket.write(head));
  const pourMore = () => {
    while (!socket.destroyed && socket.bytesWritten < 2 ** 30 && socket.write(chunk));
    if (socket.bytesWritten >= 2 ** 30) socket.destroy();
  };
  socket.on("connect", pourMore);
  socket.on("drain", pourMore);
  socket.on("data", (data) => {
    said += data.toString();
  });
  socket.on("error", () => undefined);
  socket.on("close", () => resolve());
  await promise;
  return { sentBytes: socket.bytesWritten - socket.writableLength, said };
}

const chunked = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65_536, " "), Buffer.from("\r\n")]);
test.each<[string, () => string, Uint8Array]>([
  ["announced", () => posting(`Content-Length: ${2 ** 30}`), Buffer.alloc(65_536, " ")],
  ["in chunks", () => posting("Transfer-Encoding: chunked"), chunked],
  ["in chunks, without a token", () => posting("Transfer-Encoding: chunked").replace(token(), "X: y"), chunked],
  ["to the dashboard", () => posting("Transfer-Encoding: chunked").replace(prepare, "/queues/api"), chunked],
])("a body of 1 GiB, %s, is not swallowed", async (_what, head, chunk) => {
  const { sentBytes } = await pour(head(), chunk);
  // What the kernel has taken, on both sides, is part of it.
  expect(sentBytes).toBeLessThan(64 * 2 ** 20);
});

test("after a body of a few MiB the connection goes on", async () => {
  const first = post(" ".repeat(3 * 2 ** 20)).toString();
  const { text } = await sendRaw(port, first + get("/v1/pools"), true);
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
});

test("what is smuggled behind a request is not answered", async () => {
  const inner = lines("GET /v1/pools HTTP/1.1", host(), token());
  const outer = posting("Transfer-Encoding: chunked", "Content-Length: 5");
  const { text } = await sendRaw(port, `${outer}0\r\n\r\n${inner}`, true);
  expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  expect(text).toStartWith("HTTP/1.1 400");
});

test.each([
  ["headers", () => `GET /v1/pools HTTP/1.1\r\n${host()}\r\nX: `],
  ["a body", () => posting("Content-Length: 1000")],
])("a client that trickles %s is ended", async (_what, bytes) => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(port, "127.0.0.1", () => socket.write(bytes()));
  const trickle = setInterval(() => socket.write("a"), 500);
  socket.on("error", () => undefined);
  socket.on("data", () => undefined);
  socket.on("close", () => resolve("ended"));
  const outcome = await Promise.race([promise, Bun.sleep(60_000).then(() => "still open after 60 s")]);
  clearInterval(trickle);
  socket.destroy();
  expect(outcome).toBe("ended");
});

test("afterwards the server works, has made nothing, and its log has no token and no control characters", async () => {
  expect((await api.pool("/snapshots")).body.items).toEqual([]);
  expect(({} as { role?: string }).role).toBeUndefined();
  const { body } = await api.ask("/v1/audit?limit=500");
  expect(body.items.length).toBeGreaterThan(10);
  expect(JSON.stringify(body)).not.toContain(api.token);
  const log = await api.end();
  expect(log).not.toContain(api.token);
  const odd = Array.from(log).filter((character) => character < " " && character !== "\n" && character !== "\t");
  expect(odd).toEqual([]);
  expect(log).not.toContain("a request failed");
});
