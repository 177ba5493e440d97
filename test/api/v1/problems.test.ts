// Tests that everything that /v1 refuses is a problem (RFC 9457), by one table.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import { type Bindings, Gate } from "../../../src/api/http/gate.ts";
import type { V1Env } from "../../../src/api/http/v1/caller.ts";
import { Problem, type ProblemKind, problemKinds, problemResponse } from "../../../src/api/http/v1/problems.ts";
import { v1 } from "../../../src/api/http/v1/routes.ts";
import { type ErrorCode, errorCodes, SnapmillError } from "../../../src/domain/errors.ts";
import { operationId } from "../../../src/domain/identifiers.ts";
import { createLogger } from "../../../src/logger.ts";
import { AuditLog } from "../../../src/service/audit-log.ts";
import type { Host } from "../../../src/service/host.ts";
import { OperationTracker } from "../../../src/service/operation-tracker.ts";
import type { Admission } from "../../../src/service/token-book.ts";

/** What callers rely on: a change here is a change of the API. */
const statusOf: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  not_found: 404,
  already_exists: 409,
  failed_precondition: 409,
  resource_exhausted: 507,
  unavailable: 503,
  aborted: 409,
  deadline_exceeded: 504,
  internal: 500,
};

describe("a failed operation", () => {
  test.each(errorCodes)("with the code %s is a problem with its status", async (code) => {
    const id = operationId("op-12345678");
    const answer = problemResponse(new SnapmillError(code, "what happened: the way out"), id);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([statusOf[code], "application/problem+json"]);
    const { title, wayOut } = problemKinds[code];
    expect(await answer.json()).toEqual({
      type: `urn:snapmill:problem:${code.replaceAll("_", "-")}`,
      title,
      status: statusOf[code],
      detail: "what happened: the way out",
      code,
      wayOut,
      operationId: id,
    });
  });

  test("says when to come again, if its reason may pass by itself", () => {
    const after = errorCodes.filter((code) => problemResponse(new SnapmillError(code, "x")).headers.has("retry-after"));
    expect(after).toEqual(["unavailable"]);
  });

  test("that is a fault of the program tells nothing of itself", async () => {
    const answer = problemResponse(new TypeError("x is not a function at /srv/secret.ts"));
    expect(await answer.json()).toMatchObject({ status: 500, code: "internal", detail: "see the log of snapmill" });
  });
});

test.each(Object.keys(problemKinds) as ProblemKind[])("%s says what it is and what to do", async (kind) => {
  const answer = problemResponse(new Problem(kind, "because", { "x-test": "1" }));
  expect([answer.status, answer.headers.get("x-test")]).toEqual([problemKinds[kind].status, "1"]);
  const document = (await answer.json()) as Record<string, unknown>;
  expect(Object.keys(document).sort()).toEqual(["code", "detail", "status", "title", "type", "wayOut"]);
  expect(Object.values(document).every((value) => value !== "")).toBe(true);
});

/** As the server serves it. */
const mounted = (pools: Host["pools"]) => {
  const host = { pools, operations, auditLog: audit.database };
  const log = createLogger({ name: "test", level: "silent" });
  return new Hono<V1Env>().route("/v1", v1({ host, audit, gate: new Gate({ admit }), log }));
};

const directory = mkdtempSync(join(tmpdir(), "snapmill-problems-"));
const audit = new AuditLog(join(directory, "service.db"), () => undefined);
const operations = new OperationTracker({ database: audit.database, onTrouble: () => undefined });
afterAll(() => {
  operations[Symbol.dispose]();
  audit[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const admit = (token: string): Admission | undefined =>
  token === "operate" || token === "read"
    ? { caller: { tokenName: "test", role: token }, holds: () => true }
    : undefined;

const app = mounted(new Map());
const network: Bindings = { peer: { kind: "network", address: "127.0.0.1" } };

interface Sent {
  readonly method?: string;
  readonly token?: string;
  readonly type?: string;
  readonly body?: string | Uint8Array;
}

async function send(path: string, { method = "GET", token = "operate", type, body }: Sent = {}) {
  const headers = { authorization: `Bearer ${token}`, ...(type !== undefined && { "content-type": type }) };
  const answer = await app.request(`/v1${path}`, { method, headers, ...(body !== undefined && { body }) }, network);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  return { answer, problem: (await answer.json()) as { type: string; detail: string; code: string } };
}

const prepare = "/pools/default/snapshots/a/prepare";
const post = { method: "POST", type: "application/json" };

test.each([
  ["no token", prepare, { ...post, token: "" }, 401, "unauthenticated"],
  ["no token, anywhere", "/nowhere", { token: "wrong" }, 401, "unauthenticated"],
  ["a reader's token for a change", prepare, { ...post, token: "read", body: "{}" }, 403, "forbidden"],
  ["an unknown route", "/pools/default/volumes", {}, 404, "no-such-route"],
  ["the root", "/", {}, 404, "no-such-route"],
  ["a method of no route", "/pools", { method: "DELETE" }, 405, "method-not-allowed"],
  ["a method of another route", "/pools/default/snapshots/a", { method: "PUT" }, 405, "method-not-allowed"],
  ["OPTIONS", "/pools", { method: "OPTIONS" }, 405, "method-not-allowed"],
  ["a pool that is not here", "/pools/other/snapshots", {}, 404, "not-found"],
  ["a pool that cannot be", "/pools/UPPER/snapshots", {}, 400, "invalid-argument"],
  ["an escape that is none", "/pools/%zz/snapshots", {}, 400, "invalid-argument"],
] as [string, string, Sent, number, string][])("%s is a problem", async (_what, path, sent, status, type) => {
  const { answer, problem } = await send(path, sent);
  expect([answer.status, problem.type]).toEqual([status, `urn:snapmill:problem:${type}`]);
});

test("405 says what is allowed, 401 how to authenticate", async () => {
  const { answer } = await send("/pools/default/snapshots/a", { method: "PUT" });
  expect(answer.headers.get("allow")).toBe("GET, HEAD, DELETE");
  expect((await send("/pools", { token: "" })).answer.headers.get("www-authenticate")).toBe("Bearer");
});

describe("a body", () => {
  // biome-ignore lint/suspicious/noExplicitAny: no body of these reaches the pool.
  const bodied = mounted(new Map([["default", {} as any]]) as any);

  test.each([
    ["that is no JSON", "application/json", "{", 400, "JSON"],
    ["that is a list", "application/json", "[]", 400, "not a JSON object"],
    ["that is not UTF-8", "application/json", new Uint8Array([0x7b, 0xff, 0x7d]), 400, "UTF-8"],
    ["with a field that is not known", "application/json", '{"parnet":"x"}', 400, '"parnet"'],
    ["with a value of another type", "application/json", '{"labels":[1]}', 400, "labels"],
    ["of another type", "text/plain", "{}", 415, "text/plain"],
    ["of another encoding", "application/json; charset=latin1", "{}", 415, "latin1"],
    ["that is a form", "application/x-www-form-urlencoded", "a=b", 415, "form"],
    ["of more than 1 MiB", "application/json", `{"parent":"${"x".repeat(2 ** 20)}"}`, 413, "1048576"],
  ])("%s is a problem", async (_what, type, body, status, detail) => {
    const answer = await bodied.request(
      `/v1${prepare}`,
      { method: "POST", headers: { "content-type": type }, body },
      { peer: { kind: "socket" } },
    );
    const problem = (await answer.json()) as { detail: string };
    expect([answer.status, answer.headers.get("content-type")]).toEqual([status, "application/problem+json"]);
    expect(problem.detail).toContain(detail);
  });
});
