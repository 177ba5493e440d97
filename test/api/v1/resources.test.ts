// Tests images, batches, the pool and removals over HTTP, on a real `up`.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { writeSmallImage } from "../../support/small-image.ts";
import { until } from "../../support/until.ts";
import { RunningApi } from "./running-api.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
let reference = "";
const platform = "linux/amd64";
beforeAll(async () => {
  api = await RunningApi.start({
    SNAPMILL_ASYNC_REMOVE: "true",
    SNAPMILL_REMOVE_ATTEMPTS: "2",
    SNAPMILL_REMOVE_FIRST_PAUSE: "100ms",
  });
  ({ reference } = await writeSmallImage(join(api.place.directory, "image")));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** A change that is answered when it is done, however long it takes. */
const post = (path: string, body: object = {}) =>
  api.pool(path, { method: "POST", body, headers: { prefer: "wait=60" } });

test("an image is planned, unpacked, listed, pinned, unpinned and removed", async () => {
  const planned = await post("/images/plan", { references: [reference], platform });
  expect([planned.status, planned.body]).toMatchObject([200, { fits: true, together: { layers: 3, heldLayers: 0 } }]);
  const unpacked = await post("/images/unpack", { reference, platform });
  expect([unpacked.status, unpacked.body]).toMatchObject([200, { image: reference, layers: [{}, {}, {}] }]);
  const { chainId } = unpacked.body;
  expect((await api.pool("/images")).body).toMatchObject([{ image: reference, chainId }]);
  expect((await post("/images/pin", { targets: [{ reference }] })).body).toMatchObject({ images: [{ platform }] });
  expect((await post("/images/remove", { targets: [{ reference }] })).body).toMatchObject({
    kept: [{ kind: "pinned" }],
  });
  expect((await post("/images/unpin", { targets: [{ reference }] })).status).toBe(200);
  expect((await post("/images/prune", { isDryRun: true, keep: 0 })).body).toMatchObject({
    images: [{ references: [reference] }],
  });
  const removed = await post("/images/remove", { targets: [{ reference }] });
  expect([removed.status, removed.body]).toMatchObject([200, { names: [{ reference }], layers: [{}, {}, {}] }]);
  expect((await api.pool("/images")).body).toEqual([]);
  expect(await post("/images/remove", { targets: [{ reference: "docker://none/none:x" }] })).toMatchObject({
    status: 404,
    body: { code: "not_found" },
  });
});

test("a batch is submitted, followed item by item, and its record removed", async () => {
  const path = "/batches/b-over-http";
  const body = { platform, items: [{ reference }, { reference: `oci:${api.place.directory}/missing` }] };
  expect(await api.pool(path, { method: "PUT", body })).toMatchObject({ status: 200, body: { items: 2, isNew: true } });
  expect(await api.pool(path, { method: "PUT", body })).toMatchObject({
    status: 200,
    body: { items: 2, isNew: false },
  });
  const early = await api.pool("/batches");
  expect([early.status, early.body]).toMatchObject([200, [{ batch: "b-over-http" }]]);
  await until(
    "the batch has ended",
    () => api.pool(path),
    ({ body: { state } }) => state === "failed",
    90_000,
  );
  const page = await api.pool(`${path}/items?limit=1`);
  expect(page.body.items).toMatchObject([{ position: 0, state: "done", reference }]);
  const rest = await api.ask(page.body.next);
  expect(rest.body).toMatchObject({ items: [{ position: 1, state: "failed" }], next: null });
  expect((await post(`${path}/retry`)).body).toEqual({ retried: 1 });
  expect((await post(`${path}/cancel`, { reason: "enough" })).status).toBe(200);
  await until(
    "it has ended again",
    () => api.pool(path, { method: "DELETE" }),
    ({ status }) => status === 200,
  );
  expect((await api.pool(path)).status).toBe(404);
});

test("status, doctor, cleanup, and what a reset would remove", async () => {
  expect((await api.pool("/status")).body).toMatchObject({ pool: "default", metadata: { driver: "reflink" } });
  expect((await api.pool("/hosts")).body).toMatchObject([{ pool: "default", isAlive: true }]);
  expect((await api.pool("/thin-pool")).body).toMatchObject({ code: "failed_precondition" });
  expect((await api.pool("/contents")).body).toMatchObject({ snapshots: 3, images: 1 });
  expect(await post("/doctor")).toMatchObject({ status: 200, body: { findings: [] } });
  expect(await post("/doctor", { repair: true })).toMatchObject({ status: 200, body: { findings: [] } });
  expect((await post("/cleanup")).body).toEqual({ removedDevices: 0, removedSnapshots: 0 });
  expect((await post("/reset")).body).toMatchObject({ removedDevices: expect.any(Number) });
  expect((await api.pool("/contents")).body).toMatchObject({ snapshots: 0, images: 0 });
});

test("a removal that fails is listed, discarded and retried", async () => {
  const { body } = await post("/snapshots/busy/prepare");
  const [{ source }] = body.mounts;
  const holder = Bun.spawn(["sleep", "600"], { stdin: Bun.file(source) });
  try {
    expect((await api.pool("/snapshots/busy", { method: "DELETE" })).status).toBe(200);
    const { items } = await until(
      "the removal is given up",
      async () => (await api.pool("/removals?states=failed")).body,
      (page) => page.items.length === 1,
    );
    const [{ device }] = items;
    expect(items).toMatchObject([{ key: "busy", state: "failed", attempts: 2 }]);
    expect((await post("/removals/retry", { matching: "no such error", isDryRun: true })).body).toEqual({
      devices: [],
      set: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const groups = (await api.pool("/removals/groups?states=failed&states=pending")).body;
    expect(groups).toMatchObject({ count: 1, troubles: [{ trouble: "the device is in use" }] });
    const [{ id, holder: named, set }] = groups.troubles[0].holders;
    expect([id, named.pid, named.command]).toEqual([`process-${holder.pid}`, holder.pid, "sleep 600"]);
    const stale = await post("/removals/retry", { holder: id, ifSet: set.replace(/^./, "-") });
    expect([stale.status, stale.body.code]).toEqual([409, "failed_precondition"]);
    expect(stale.body.detail).toContain("nothing was changed");
    expect((await api.pool(`/removals?holder=${id}`)).body.items).toMatchObject([{ device, state: "failed" }]);
    expect((await post("/removals/discard", { names: [device], reason: "evidence" })).body).toEqual({
      devices: [device],
    });
    expect((await api.pool("/removals")).body.items).toMatchObject([{ state: "discarded", discardReason: "evidence" }]);
    expect((await post("/removals/retry")).body.code).toBe("invalid_argument");
    holder.kill("SIGKILL");
    await holder.exited;
    expect((await post("/removals/retry", { names: ["busy"] })).body).toEqual({ devices: [device] });
  } finally {
    holder.kill("SIGKILL");
    await holder.exited;
  }
  await until(
    "it is removed",
    async () => (await api.pool("/removals")).body.items,
    (items) => items.length === 0,
  );
});

test("a snapshot is removed completely: its device is gone with the answer", async () => {
  expect((await post("/snapshots/idle/prepare")).status).toBe(200);
  expect(await post("/snapshots/idle/remove-completely")).toMatchObject({ status: 200, body: {} });
  expect((await api.pool("/removals")).body.items).toEqual([]);
});
