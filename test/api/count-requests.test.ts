// Room: test. Owns how HTTP requests are counted: by patterns, never by what a caller has put into a path.
import { expect, test } from "bun:test";
import { Hono } from "hono";
import { countRequests } from "../../src/api/http/count-requests.ts";
import { observed } from "../../src/domain/tally.ts";

const counted = (): string[] =>
  observed.series
    .filter(({ name }) => name === "snapmill_http_requests_total")
    .map(({ values: [route = "", code = ""], amounts: [times = 0] }) => `${route} -> ${code}: ${times}`);

test("a request counts under its route's pattern, whether it is answered, refused, failed, or for nothing", async () => {
  const app = new Hono();
  app.use(countRequests);
  app.use("/queues/*", async (context, next) => {
    if (context.req.header("authorization") === undefined) return context.text("who is it?", 401);
    return await next();
  });
  app.all("/queues/*", (context) => context.text("well"));
  app.get("/v1/pools/:pool/snapshots/:key", (context) => context.text("well"));
  app.get("/failing", () => {
    throw new Error("as it must");
  });
  app.onError((_error, context) => context.text("failed", 500));

  for (const key of ["a", "b", "sha256:secret"]) await app.request(`/v1/pools/default/snapshots/${key}`);
  await app.request("/queues/a");
  await app.request("/queues/b", { headers: { authorization: "known" }, method: "POST" });
  await app.request("/failing");
  await app.request("/sha256:secret", { method: "DELETE" });
  expect(counted()).toEqual([
    "GET /v1/pools/:pool/snapshots/:key -> 200: 3",
    "GET /queues/* -> 401: 1",
    "POST /queues/* -> 200: 1",
    "GET /failing -> 500: 1",
    "DELETE none -> 404: 1",
  ]);
});
