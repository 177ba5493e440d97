// Tests what an Idempotency-Key promises when `up` ends in between: by a kill or in order, after the answer or before it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { paths } from "../../../src/config.ts";
import { openDatabase } from "../../../src/metadata/database.ts";
import { writeSmallImage } from "../../support/small-image.ts";
import { type Answer, RunningApi } from "./running-api.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let reference = "";
beforeAll(async () => {
  api = await RunningApi.start();
  ({ reference } = await writeSmallImage(join(api.place.directory, "image")));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const post = (path: string, key: string, body: object, prefer = "wait=60") =>
  api.pool(path, { method: "POST", body, headers: { "idempotency-key": key, prefer } });
const prepare = (name: string) => api.pool(`/snapshots/${name}/prepare`, { method: "POST", body: {} });
const status = async (name: string) => (await api.pool(`/snapshots/${name}`)).status;
const audited = async (id: string) =>
  (await api.ask(`/v1/audit?operationId=${id}`)).body.items.map(({ code }: { code: string }) => code);

/** How many jobs of this name the pool's journal has. */
function journaled(job: string): number {
  using database = openDatabase(paths.database(api.place.config), { mode: "readonly" });
  const [count] = database.drizzle.get<[number]>(`SELECT count(*) FROM operations WHERE job = '${job}'`) ?? [0];
  return count;
}

describe.each(["SIGKILL", "SIGTERM"] as const)("after %s", (signal) => {
  const key = (of: string) => `${of} ${signal}`;

  test("operations of several jobs keep their effect and answer, and refuse another body", async () => {
    const name = `gone-${signal}`;
    expect((await prepare(name)).status).toBe(200);
    const unpacked = await post("/images/unpack", key("unpack"), { reference, platform: "linux/amd64" });
    expect(unpacked.status).toBe(200);
    const asks = [
      () => post(`/snapshots/${name}/remove-completely`, key("remove"), {}),
      () => post("/images/pin", key("pin"), { targets: [{ reference }] }),
      () => post("/images/prune", key("prune"), { keep: 10 }),
      () => post("/images/plan", key("plan"), { references: [reference], platform: "linux/amd64" }),
      () => post("/removals/retry", key("retry"), { all: true }),
      () => post("/drain", key("drain"), { reason: "upgrade", timeoutMs: 60_000 }),
      () => post("/resume", key("resume"), {}),
      () => post("/images/unpin", key("unpin"), { targets: [{ reference }] }),
      () => post("/images/remove", key("remove images"), { targets: [{ reference }] }),
    ];
    const first: Answer[] = [];
    for (const ask of asks) first.push(await ask());
    expect(first.map((answer) => answer.status)).toEqual(asks.map(() => 200));
    // To a second effect they would be there: the same snapshot, the same image.
    expect((await prepare(name)).status).toBe(200);
    expect((await post("/images/unpack", key("unpack 2"), { reference, platform: "linux/amd64" })).status).toBe(200);
    const counts = () => ["remove", "remove-images", "pin-images", "hold-queue", "release-queue"].map(journaled);
    const before = counts();
    await api.restart(signal);
    const again: Answer[] = [];
    for (const ask of asks) again.push(await ask());
    expect(again.map(({ status: code, body }) => [code, body])).toEqual(first.map(({ body }) => [200, body]));
    expect(counts()).toEqual(before);
    expect(await status(name)).toBe(200);
    expect((await api.pool("/images")).body).toHaveLength(1);
    expect((await api.pool("/queues")).body.unpack.isPaused).toBe(false);
    const other = await post("/images/prune", key("prune"), { keep: 9 });
    expect([other.status, other.body.type]).toEqual([422, "urn:snapmill:problem:key-reused"]);
    const id = first[8]?.headers.get("operation-id") ?? "";
    expect((await api.ask(`/v1/operations/${id}`)).body).toMatchObject({
      operation: "removeImages",
      state: "done",
      result: first[8]?.body,
    });
    expect((await post("/images/remove", key("clean"), { targets: [{ reference }] })).status).toBe(200);
    expect((await api.pool(`/snapshots/${name}`, { method: "DELETE" })).status).toBe(200);
  });

  test("operations that ran then run once more where that is safe, and otherwise say that nobody knows", async () => {
    const name = `half-${signal}`;
    expect((await prepare(name)).status).toBe(200);
    expect((await post("/images/unpack", key("unpack 3"), { reference, platform: "linux/amd64" })).status).toBe(200);
    for (const pid of api.place.pidsOf("pool.ts")) process.kill(pid, "SIGSTOP");
    const asks = [
      (prefer?: string) => post(`/snapshots/${name}/remove-completely`, key("half"), {}, prefer),
      (prefer?: string) => post("/drain", key("half drain"), { timeoutMs: 10_000 }, prefer),
      (prefer?: string) => post("/doctor", key("half doctor"), {}, prefer),
      (prefer?: string) => post("/images/remove", key("half images"), { targets: [{ reference }] }, prefer),
    ];
    const accepted = await Promise.all(asks.map((ask) => ask("respond-async")));
    expect(accepted.map((answer) => answer.status)).toEqual([202, 202, 202, 202]);
    const places = accepted.map(({ headers }) => headers.get("location") ?? "");
    await api.restart(signal);
    const unknown = places.at(-1) ?? "";
    expect((await api.ask(unknown)).body).toMatchObject({ operation: "removeImages", state: "failed" });
    expect((await post("/drain", key("half drain"), { timeoutMs: 9_000 })).status).toBe(422);
    const again = await Promise.all(asks.slice(0, 3).map((ask) => ask()));
    expect(again.map((answer) => answer.status)).toEqual([200, 200, 200]);
    expect(again.map(({ headers }) => headers.get("operation-id"))).toEqual(
      places.slice(0, 3).map((place) => place.split("/").at(-1) ?? ""),
    );
    expect(await status(name)).toBe(404);
    const lost = await asks[3]?.();
    expect([lost?.status, lost?.body.type]).toEqual([409, "urn:snapmill:problem:end-unknown"]);
    expect(lost?.body.wayOut).toContain("fresh Idempotency-Key");
    expect(await audited(unknown.split("/").at(-1) ?? "")).toEqual(["failed_precondition", "begun"]);
    // The way out that it names: the image may be there, or not.
    const fresh = await post("/images/remove", key("fresh"), { targets: [{ reference }] });
    expect([200, 404]).toContain(fresh.status);
    expect((await api.pool("/images")).body).toEqual([]);
    expect((await post("/resume", key("end"), {})).status).toBe(200);
  });
});
