// Room: test. Owns who gets /metrics: whoever has the token; where it is open, programs on this machine as well.
import { afterAll, expect, test } from "bun:test";
import type { HttpServer } from "../../src/api/http/server.ts";
import { testServer } from "../support/http-server.ts";

const token = "a-token-for-these-tests";
const signedIn = { authorization: `Basic ${btoa(`snapmill:${token}`)}` };

const servers: HttpServer[] = [];
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

function serve(metricsOpen: boolean): HttpServer {
  const server = testServer(token, { metricsOpen });
  servers.push(server);
  return server;
}

test.each([
  { metricsOpen: false, headers: {}, status: 401 },
  { metricsOpen: false, headers: signedIn, status: 200 },
  { metricsOpen: true, headers: {}, status: 200 },
  { metricsOpen: true, headers: signedIn, status: 200 },
  { metricsOpen: true, headers: { "x-forwarded-for": "192.0.2.1" }, status: 401 },
  { metricsOpen: true, headers: { forwarded: "for=192.0.2.1" }, status: 401 },
  { metricsOpen: true, headers: { via: "1.1 proxy" }, status: 401 },
  { metricsOpen: true, headers: { "x-forwarded-for": "192.0.2.1", ...signedIn }, status: 200 },
])("open: $metricsOpen, with $headers: $status", async ({ metricsOpen, headers, status }) => {
  const { url } = serve(metricsOpen);
  expect((await fetch(`${url}/metrics`, { headers: new Headers(headers as Record<string, string>) })).status).toBe(
    status,
  );
});

test("only /metrics is open", async () => {
  const { url } = serve(true);
  expect((await fetch(`${url}/queues/`, { redirect: "manual" })).status).toBe(401);
  expect((await fetch(`${url}/queues`)).status).toBe(401);
});
