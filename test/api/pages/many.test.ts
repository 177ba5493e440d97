// Overview and Pool over 10,000 snapshots, 1,000 images and 5,000 waiting jobs: what one answer holds stays small.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { paths } from "../../../src/config.ts";
import { freshOperationId, ownScope, snapshotKey } from "../../../src/domain/identifiers.ts";
import { labelNames } from "../../../src/domain/snapshots.ts";
import { type Database, openDatabase, transact } from "../../../src/metadata/database.ts";
import { addToOutbox } from "../../../src/metadata/outbox.ts";
import { putUnpackHold } from "../../../src/metadata/queue-holds.ts";
import { insertSnapshot } from "../../../src/metadata/snapshot-changes.ts";
import { findSnapshot } from "../../../src/metadata/snapshots.ts";
import { addImage, sha } from "../../metadata/layered-images.ts";
import { until } from "../../support/until.ts";
import { RunningApi } from "../v1/running-api.ts";
import { textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(300_000);

const [snapshots, images, jobs] = [10_000, 1_000, 5_000];
let api: RunningApi;
const visitor = new Visitor(() => api.url);

beforeAll(async () => {
  api = await RunningApi.start();
  for (const [path, body] of [
    ["/snapshots/working/prepare", {}],
    ["/snapshots/working/commit", { name: "base" }],
  ] as const) {
    expect((await api.pool(path, { method: "POST", body })).status).toBe(200);
  }
  await api.end();
  using database = openDatabase(paths.database(api.place.config), { mode: "readwrite" });
  transact(database, () => fill(database));
  await api.begin();
  expect(await visitor.signIn(api.token)).toBe(303);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** All on one device, each larger than the one before; the first ones are images of their own. */
function fill(database: Database): void {
  const { deviceNumber } = findSnapshot(database, ownScope, snapshotKey("base"));
  for (let index = 1; index < snapshots; index += 1) {
    insertSnapshot(database, {
      scope: ownScope,
      key: snapshotKey(sha(`layer ${index}`)),
      kind: "committed",
      parentNumber: undefined,
      deviceNumber,
      usedBytes: 4096 * index,
      labels: { [labelNames.unpackBytes]: "1" },
    });
    if (index <= images) addImage(database, `docker.io/shop/web:${index}`, [`layer ${index}`]);
  }
  const hold = { kind: "paused", heldBy: "a test", reason: "many", sinceMs: Date.now(), handOverAtMs: null } as const;
  putUnpackHold(database, hold);
  for (let index = 0; index < jobs; index += 1) {
    const operationId = freshOperationId();
    const payload = { pool: api.place.config.pool, operationId, reference: "oci:/none:x", platform: "linux/amd64" };
    addToOutbox(database, { operationId, job: "unpack", payload, traceparent: undefined });
  }
}

const count = (html: string, part: string) => html.split(part).length - 1;

test("the overview counts them, and lists none of them", async () => {
  const { body } = await until(
    "all jobs wait",
    () => api.pool("/queues"),
    ({ body }) => body.unpack.waiting === jobs,
    120_000,
  );
  expect(body.unpack.isPaused).toBe(true);
  const { status, html } = await visitor.visit("/");
  expect(status).toBe(200);
  expect(textOf(html)).toMatch(/Oldest waiting job [^(]+ \(an unpack\) Running unpacks none/);
  expect(html.length).toBeLessThan(60_000);
});

test("the page of the pool shows the largest images and the marks together", async () => {
  const { status, html } = await visitor.visit("/pools/default");
  expect(status).toBe(200);
  expect(textOf(html)).toContain(`Snapshots ${snapshots} committed`);
  expect(textOf(html)).toContain("940 other images");
  expect(count(html, '<rect class="area')).toBeLessThan(75);
  expect(textOf(html)).toMatch(/500 × unpack, from .* and 495 more/);
  expect(count(html, "<li>")).toBeLessThan(60);
  expect(html.length).toBeLessThan(200_000);
});
