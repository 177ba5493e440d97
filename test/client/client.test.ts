// Tests the client against servers that answer as a snapmill must not, or not always; test/cli/remote.test.ts has a real one.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiError, type ClientOptions, connect } from "../../src/client/client.ts";
import { makeCertificates } from "../support/certificates.ts";
import { type Asked, serve } from "./serve.ts";

const directory = mkdtempSync(join(tmpdir(), "snapmill-client-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const token = "a-token-that-nothing-may-show";
const named = { scope: "snapmill", key: "build/1 ä" };
const snapshot = { ...named, kind: "active", labels: {}, createdAtMs: 1, updatedAtMs: 1 };

const poolAt = (host: string, options: Partial<ClientOptions> = {}) =>
  connect({ host, token, attempts: 3, ...options }).pool("default");

function problem(status: number, code: string, detail: string, headers: Record<string, string> = {}): Response {
  const type = `urn:snapmill:problem:${code.replaceAll("_", "-")}`;
  const body = { type, title: code, status, detail, code, wayOut: "the way out", operationId: "op-12345678" };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}

describe("a request", () => {
  test("has its reason in UTF-8, in one line", async () => {
    await using server = serve(() => Response.json(snapshot));
    await poolAt(server.host).label({ ...named, labels: {} }, { reason: "größer\nals 漢" });
    const sent = server.asked[0]?.headers.get("snapmill-reason") ?? "";
    expect(Buffer.from(sent, "latin1").toString()).toBe("größer als 漢");
  });

  test("has its fields where the endpoint says, and the token in its header", async () => {
    await using server = serve(() => Response.json(snapshot));
    const pool = poolAt(server.host);
    await pool.stat(named);
    await pool.label({ ...named, labels: { team: "edge" } }, { operationId: "op-of-this-test", reason: "a test" });
    const [read, change] = server.asked;
    expect(read?.url).toBe(`${server.host}/v1/pools/default/snapshots/build%2F1%20%C3%A4?scope=snapmill`);
    expect(read?.headers.get("authorization")).toBe(`Bearer ${token}`);
    expect(change?.method).toBe("PATCH");
    expect(change?.headers.get("idempotency-key")).toBe("op-of-this-test");
    expect(change?.headers.get("snapmill-reason")).toBe("a test");
    expect(JSON.parse(change?.body ?? "")).toEqual({ labels: { team: "edge" } });
  });

  test("has a key in the query that no path can hold", async () => {
    await using server = serve(() => Response.json(snapshot));
    const pool = poolAt(server.host);
    await pool.remove({ scope: "snapmill", key: ".." });
    await pool.prepare({ scope: "snapmill", key: "." });
    await pool.stat({ scope: "snapmill", key: "usage" });
    const asked = server.asked.map(({ method, url }) => `${method} ${url.slice(server.host.length)}`);
    expect(asked).toEqual([
      "DELETE /v1/pools/default/snapshot?scope=snapmill&key=..",
      "POST /v1/pools/default/snapshot/prepare?scope=snapmill&key=.",
      "GET /v1/pools/default/snapshot?scope=snapmill&key=usage",
    ]);
  });

  test("goes over a UNIX socket", async () => {
    const path = join(directory, "api.sock");
    await using server = Bun.serve({ unix: path, fetch: () => Response.json(snapshot) });
    expect(server.url).toBeDefined();
    expect(
      await connect({ host: `unix://${path}` })
        .pool("default")
        .stat(named),
    ).toEqual(snapshot as never);
  });
});

describe("a list", () => {
  const page = (request: Asked): Response => {
    const after = Number(new URL(request.url).searchParams.get("cursor") ?? 0);
    const items = [1, 2].map((number) => ({ ...snapshot, key: `k${after + number}` }));
    return Response.json({ items, next: after < 4 ? `/v1/pools/default/snapshots?cursor=${after + 2}` : null });
  };

  test("is read to its end, page by page", async () => {
    await using server = serve(page);
    const found = await Array.fromAsync(poolAt(server.host).listSnapshots({ scope: "snapmill" }));
    expect(found.map(({ key }) => String(key))).toEqual(["k1", "k2", "k3", "k4", "k5", "k6"]);
    expect(server.asked).toHaveLength(3);
  });

  test("that is left early asks for no further page", async () => {
    await using server = serve(page);
    for await (const { key } of poolAt(server.host).listSnapshots({ scope: "snapmill" })) if (key === "k2") break;
    expect(server.asked).toHaveLength(1);
  });

  test("does not follow a link to another server", async () => {
    await using server = serve(() => Response.json({ items: [], next: "https://elsewhere.example/v1/pools" }));
    const read = Array.fromAsync(poolAt(server.host).listSnapshots({ scope: "snapmill" }));
    await expect(read).rejects.toThrow("is not a snapmill");
  });
});

describe("what may pass", () => {
  test("is sent again under the same operation ID, until it is answered", async () => {
    let calls = 0;
    await using server = serve(() => (++calls < 3 ? problem(503, "unavailable", "Redis is away") : Response.json({})));
    await poolAt(server.host).remove(named);
    const keys = server.asked.map(({ headers }) => headers.get("idempotency-key"));
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^op-/);
  });

  test("waits as long as the server asks", async () => {
    let calls = 0;
    await using server = serve(() =>
      ++calls < 2 ? problem(429, "resource_exhausted", "too many", { "retry-after": "1" }) : Response.json(snapshot),
    );
    const startedMs = performance.now();
    await poolAt(server.host).stat(named);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(990);
  });

  test("is given up after a few attempts; what cannot pass, at once", async () => {
    await using server = serve(({ method }) =>
      method === "GET" ? problem(503, "unavailable", "Redis is away") : problem(404, "not_found", "there is no build"),
    );
    const pool = poolAt(server.host);
    await expect(pool.stat(named)).rejects.toMatchObject({ code: "unavailable", message: "Redis is away" });
    expect(server.asked).toHaveLength(3);
    await expect(pool.remove(named, { operationId: "op-of-this-test" })).rejects.toMatchObject({
      code: "not_found",
      message: "there is no build",
      status: 404,
      wayOut: "the way out",
      operationId: "op-12345678",
      repeatAs: "op-of-this-test",
    });
    expect(server.asked).toHaveLength(4);
  });

  test("ends with the caller's signal, also during a pause", async () => {
    await using server = serve(() => problem(503, "unavailable", "Redis is away"));
    const given = new AbortController();
    const call = poolAt(server.host, { attempts: 100 }).stat(named, { signal: given.signal });
    setTimeout(() => given.abort(new Error("enough")), 50);
    await expect(call).rejects.toThrow("enough");
  });

  test("ends while an answer is waited for", async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    await using server = serve(() => promise);
    const given = new AbortController();
    const call = poolAt(server.host).remove(named, { signal: given.signal });
    setTimeout(() => given.abort(new Error("enough")), 50);
    await expect(call).rejects.toThrow("enough");
    resolve(Response.json({}));
  });

  test("is not waited for beyond the deadline", async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    await using server = serve(() => promise);
    const call = poolAt(server.host).remove(named, { deadlineMs: 50 });
    await expect(call).rejects.toBeInstanceOf(ApiError);
    await expect(call).rejects.toMatchObject({ code: "deadline_exceeded", repeatAs: expect.stringMatching(/^op-/) });
    resolve(Response.json({}));
  });
});

describe("a sentence with the way out", () => {
  const failureAt = async (host: string, options: Partial<ClientOptions> = {}): Promise<string> => {
    const error: unknown = await poolAt(host, { attempts: 1, ...options })
      .stat(named)
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Error);
    const { message } = error as Error;
    expect(message).not.toContain(token);
    return message;
  };

  test("where nothing answers", async () => {
    const server = serve(() => Response.json(snapshot));
    await server[Symbol.asyncDispose]();
    expect(await failureAt(server.host)).toBe(
      `snapmill at ${server.host} cannot be reached; nothing answers there: start 'snapmill up' on that host, or check the address`,
    );
  });

  test("where there is no socket", async () => {
    expect(await failureAt(`unix://${directory}/none.sock`, { token: undefined })).toMatch(
      /cannot be reached; (there is no such socket|nothing answers there): start 'snapmill up'/,
    );
  });

  test("for a token that is not known", async () => {
    await using server = serve(() => problem(401, "unauthenticated", "the request has no valid token"));
    expect(await failureAt(server.host)).toBe(
      `${server.host}: the request has no valid token: set SNAPMILL_TOKEN to a token of 'snapmill token create' on that host`,
    );
  });

  test.each([
    [
      "a page",
      () => new Response("<html>", { headers: { "content-type": "text/html" } }),
      "it answers 200 with text/html",
    ],
    ["other JSON", () => Response.json({ error: "no" }, { status: 404 }), "it answers 404 with JSON of another shape"],
    [
      "a redirect",
      () => Response.redirect("https://elsewhere.example/v1?secret=1"),
      "it redirects to https://elsewhere.example",
    ],
  ] as const)("for %s of something else", async (_, answer, what) => {
    await using server = serve(answer);
    expect(await failureAt(server.host)).toBe(
      `what answers at ${server.host} is not a snapmill (${what}): check SNAPMILL_HOST`,
    );
    expect(server.asked).toHaveLength(1);
  });

  test("for a certificate that is not trusted; a private authority's is, when it is given", async () => {
    const { authority, certificate, key } = makeCertificates(join(directory, "certificates"));
    const tls = { cert: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
    await using server = serve(() => Response.json(snapshot), tls);
    expect(await failureAt(server.host)).toMatch(
      /^the certificate of https:.* is not trusted \(\w+\): give its authority's certificate in SNAPMILL_CA$/,
    );
    expect(await poolAt(server.host, { ca: readFileSync(authority, "utf8") }).stat(named)).toEqual(snapshot as never);
  });

  test("for TLS where there is none", async () => {
    await using server = serve(() => Response.json(snapshot));
    const host = server.host.replace("http:", "https:");
    expect(await failureAt(host)).toContain(`${host} does not speak TLS`);
  });

  test.each([
    ["somewhere", "the host of a snapmill is not valid"],
    ["https://user:secret@host", "holds no user or password"],
    ["https://host/path", "leave out what follows the port"],
    ["unix:relative", "a socket's path begins at the root"],
    ["http://192.0.2.1:7070", "a token is not sent to http://192.0.2.1:7070, which is not encrypted"],
  ])("for the host %s", (host, words) => {
    expect(() => connect({ host, token })).toThrow(words);
    expect(() => connect({ host, token })).toThrow(ApiError);
    expect(() => connect({ host, token })).not.toThrow("secret@");
  });
});
