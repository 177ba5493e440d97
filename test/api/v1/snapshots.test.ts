// Tests snapshots over HTTP, on a real `up`: every endpoint, its refusals, pages and ETags.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RunningApi } from "./running-api.ts";

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const post = (path: string, body: object = {}) => api.pool(path, { method: "POST", body });

/** containerd's keys contain slashes and spaces. */
const oddKey = "k8s.io/1/extract-12 ä%2F?#";
const odd = `/snapshots/${encodeURIComponent(oddKey)}`;

describe("a snapshot's life", () => {
  test("prepare answers how it is mounted, and stat what it is", async () => {
    const prepared = await post(`${odd}/prepare`, { labels: { team: "edge" } });
    expect([prepared.status, prepared.body]).toMatchObject([200, { mounts: [{ type: "ext4" }] }]);
    expect(prepared.headers.get("operation-id")).toMatch(/^op-/);
    const found = await api.pool(odd);
    expect([found.status, found.body]).toMatchObject([
      200,
      { key: oddKey, kind: "active", scope: "snapmill", labels: { team: "edge" } },
    ]);
    const { body } = await api.pool(`${odd}/mounts`);
    expect(body).toEqual(prepared.body);
  });

  test("usage says what it takes", async () => {
    const { status, body } = await api.pool(`${odd}/usage`);
    expect(status).toBe(200);
    expect(body).toEqual({ sizeBytes: expect.any(Number), inodes: expect.any(Number) });
  });

  test("commit frees the key, view and label act on the name", async () => {
    expect(await post(`${odd}/commit`, { name: "base" })).toMatchObject({ status: 200, body: {} });
    expect((await api.pool(odd)).status).toBe(404);
    expect(await post("/snapshots/look/view", { parent: "base" })).toMatchObject({ status: 200 });
    const labelled = await api.pool("/snapshots/base/labels", { method: "PATCH", body: { labels: { a: "1" } } });
    expect([labelled.status, labelled.body]).toMatchObject([200, { key: "base", labels: { a: "1" } }]);
  });

  test("remove goes from child to parent", async () => {
    const early = await api.pool("/snapshots/base", { method: "DELETE" });
    expect([early.status, early.body.code]).toEqual([409, "failed_precondition"]);
    for (const key of ["look", "base"]) {
      expect((await api.pool(`/snapshots/${key}`, { method: "DELETE" })).status).toBe(200);
    }
    expect((await api.pool("/snapshots")).body).toEqual({ items: [], next: null });
  });

  test("another scope is another space of keys", async () => {
    expect((await post("/snapshots/one/prepare?scope=ci")).status).toBe(200);
    expect((await api.pool("/snapshots/one")).status).toBe(404);
    expect((await api.pool("/snapshots/one?scope=ci")).body.scope).toBe("ci");
    expect((await api.pool("/snapshots/one?scope=ci", { method: "DELETE" })).status).toBe(200);
  });
});

describe("lists", () => {
  const keys = ["a", "b", "c/1", "d", "e"];
  beforeAll(async () => {
    for (const key of keys) {
      const labels = { parity: keys.indexOf(key) % 2 === 0 ? "even" : "odd" };
      expect((await post(`/snapshots/${encodeURIComponent(key)}/prepare`, { labels })).status).toBe(200);
    }
  });
  afterAll(async () => {
    for (const key of keys) await api.pool(`/snapshots/${encodeURIComponent(key)}`, { method: "DELETE" });
  });

  const keysOf = (body: { items: { key: string }[] }) => body.items.map(({ key }) => key);

  async function walk(path: string): Promise<string[][]> {
    const pages: string[][] = [];
    for (let next: string | null = path; next !== null; ) {
      const { status, body } = await api.ask(next);
      expect(status).toBe(200);
      pages.push(keysOf(body));
      next = body.next;
    }
    return pages;
  }

  test("come in pages that a next link connects", async () => {
    expect(await walk("/v1/pools/default/snapshots?limit=2")).toEqual([["a", "b"], ["c/1", "d"], ["e"]]);
    expect(await walk("/v1/pools/default/snapshots?limit=5")).toEqual([keys]);
  });

  test("a snapshot that is removed between two pages takes no other with it", async () => {
    const { body } = await api.pool("/snapshots?limit=2");
    expect((await api.pool("/snapshots/b", { method: "DELETE" })).status).toBe(200);
    expect(keysOf((await api.ask(body.next)).body)).toEqual(["c/1", "d"]);
    expect((await post("/snapshots/b/prepare", { labels: { parity: "odd" } })).status).toBe(200);
  });

  test("are filtered as containerd does, also across pages", async () => {
    const filter = encodeURIComponent("kind==active,labels.parity==even");
    expect(await walk(`/v1/pools/default/snapshots?limit=2&filters=${filter}`)).toEqual([["a", "c/1"], ["e"]]);
    const either = "filters=name==a&filters=name==d";
    expect(await walk(`/v1/pools/default/snapshots?${either}`)).toEqual([["a", "d"]]);
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=501", "1 to 500"],
    ["limit=ten", "limit"],
    ["cursor=nonsense", "cursor"],
    ["filters=name%3D%3D%3Da", "filter"],
    ["filter=name==a", 'query parameter "filter" is not known: there are scope, filters, limit, cursor'],
    ["scope=ci&scope=cd", "twice"],
    ["scope=%00", "scope"],
  ])("?%s is refused", async (query, detail) => {
    const { status, body } = await api.pool(`/snapshots?${query}`);
    expect([status, body.code]).toEqual([400, "invalid_argument"]);
    expect(body.detail).toContain(detail);
  });

  test("a pool's name leads to the pool, another to 404", async () => {
    expect((await api.ask("/v1/pools")).body).toEqual({ items: [{ name: "default" }], next: null });
    const { status, body } = await api.ask("/v1/pools/other/snapshots");
    expect([status, body.detail]).toEqual([404, "there is no pool other here, only default"]);
  });
});

describe("reads", () => {
  test("have an ETag, and 304 for who has it; a change gives another", async () => {
    await post("/snapshots/tagged/prepare");
    const first = await api.pool("/snapshots/tagged");
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"\w+"$/);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = await api.pool("/snapshots/tagged", { headers: { "if-none-match": known } });
      expect([known, again.status, again.body, again.headers.get("etag")]).toEqual([known, 304, "", etag]);
    }
    await api.pool("/snapshots/tagged/labels", { method: "PATCH", body: { labels: { a: "1" } } });
    const changed = await api.pool("/snapshots/tagged", { headers: { "if-none-match": etag } });
    expect([changed.status, changed.headers.get("etag") === etag]).toEqual([200, false]);
    await api.pool("/snapshots/tagged", { method: "DELETE" });
  });

  test("HEAD answers as GET does, without a body", async () => {
    const head = await api.pool("/snapshots", { method: "HEAD" });
    expect([head.status, head.body]).toEqual([200, ""]);
    expect(head.headers.get("etag")).toBe((await api.pool("/snapshots")).headers.get("etag"));
  });
});
