// Tests what is derived from the registry of jobs: the types of verbs and handlers, and what the journal compares.
import { describe, expect, test } from "bun:test";
import { operationId } from "../../src/domain/identifiers.ts";
import type { Driver } from "../../src/drivers/port.ts";
import {
  type JournaledJobName,
  journaledJobNames,
  journaledPayload,
  parsePayload,
  poolJobNames,
  requestOf,
  type UnpackedImage,
} from "../../src/jobs/contract.ts";
import { journaledHandlers, type PoolHandlers, type UnpackHandlers } from "../../src/jobs/worker/handlers.ts";
import type { JobContext } from "../../src/jobs/worker/job-context.ts";
import { recordAnswer } from "../../src/metadata/journal.ts";
import { readPool } from "../../src/metadata/pool.ts";
import { createSnapshotter } from "../../src/snapshotter/snapshotter.ts";
import { type Verbs, verbs } from "../../src/snapshotter/verbs.ts";
import { temporaryDatabase } from "../metadata/support.ts";

describe("does not compile:", () => {
  test("a journaled job without a verb, or with one of another shape", () => {
    const { remove, ...others } = verbs;
    const applying = <T>(result: T) => ({ kind: "metadata" as const, apply: () => result });
    const right: Verbs = { ...others, remove: () => applying({}) };
    // @ts-expect-error no verb for remove
    const missing: Verbs = others;
    const ofNumber = (...given: [unknown, { readonly key: number }]) => applying(given);
    // @ts-expect-error the key is no number
    const otherPayload: Verbs = { ...others, remove: ofNumber };
    // @ts-expect-error removedDevices is missing in the answer
    const otherResult: Verbs = { ...verbs, "reset-pool": () => applying({ removed: 1 }) };
    expect([right, missing, otherPayload, otherResult].every((table) => Object.keys(table).length >= 11)).toBe(true);
    expect(remove).toBe(verbs.remove);
    expect(Object.keys(verbs).sort()).toEqual([...journaledJobNames].sort());
  });

  test("a job without a handler, or with one of another shape", () => {
    const journaled = journaledHandlers(Object.fromEntries(journaledJobNames.map((name) => [name, refuse])) as never);
    // @ts-expect-error no handler for probe
    const missing: PoolHandlers = { ...journaled, "read-batch": refuse };
    const probe = () => Promise.resolve({});
    const unjournaled = { probe, "read-batch": refuse };
    // @ts-expect-error the answer has no findings
    const otherResult: PoolHandlers = { ...journaled, ...unjournaled, doctor: () => Promise.resolve({ found: [] }) };
    // @ts-expect-error unpack is no job of the pool's worker
    const otherWorker: PoolHandlers = { ...journaled, ...unjournaled, unpack: probe };
    // @ts-expect-error no handler for unpack
    const noUnpack: UnpackHandlers = {};
    expect(Object.keys({ ...missing, ...noUnpack })).not.toContain("probe");
    expect(Object.keys(otherWorker)).toContain("unpack");
    expect(Object.keys(otherResult).sort()).toEqual([...poolJobNames].sort());
  });
});

const refuse = () => Promise.reject(new Error("not called in this test"));

const image: UnpackedImage = (() => {
  const digest = `sha256:${"0".repeat(64)}`;
  const names = { manifestDigest: digest, chainId: digest, snapshot: digest };
  return { image: "a", platform: "linux/amd64", ...names, layers: [] } as unknown as UnpackedImage;
})();
const pool = "pool";
const imageId = { manifestDigest: image.manifestDigest, platform: image.platform };
const named = { reference: image.image, platform: image.platform };
const one = { scope: "s", key: "k", labels: { a: "b" } };
const batch = "b-4ddc379da2a7";
const failure = { code: "unavailable", message: "m", stage: "fetch" };
const unpack = { operationId: "op-second-2", reference: "oci:/images/a", platform: "linux/amd64" };

/** What each job is given, and what the journal remembers of it from one version to the next. */
const requests: { readonly [Name in JournaledJobName]: readonly [given: object, journaled: object] } = {
  prepare: [
    { ...one, parent: "p" },
    { pool, ...one, parent: "p" },
  ],
  view: [
    { ...one, parent: "p" },
    { pool, ...one, parent: "p" },
  ],
  commit: [
    { ...one, name: "n" },
    { pool, ...one, name: "n" },
  ],
  checkpoint: [
    { ...one, name: "n", keyLabels: { c: "d" } },
    { pool, ...one, name: "n", keyLabels: { c: "d" } },
  ],
  "commit-copies": [
    { scope: "s", key: "k", copies: [{ copy: "1", name: "n", labels: { a: "b" } }], keyLabels: { c: "d" } },
    { pool, scope: "s", key: "k", copies: [{ copy: "1", name: "n", labels: { a: "b" } }], keyLabels: { c: "d" } },
  ],
  remove: [
    { scope: "s", key: "k" },
    { pool, scope: "s", key: "k" },
  ],
  update: [
    { ...one, fieldPaths: ["labels.a"] },
    { pool, ...one, fieldPaths: ["labels.a"] },
  ],
  "remove-device": [{ device: "pool-snap-7" }, { pool, device: "pool-snap-7" }],
  "retry-removals": [{ devices: ["pool-snap-7"] }, { pool, devices: ["pool-snap-7"] }],
  "discard-removals": [
    { devices: ["pool-snap-7"], reason: "r" },
    { pool, devices: ["pool-snap-7"], reason: "r" },
  ],
  "hold-queue": [
    { kind: "drained", heldBy: "h", reason: "r", handOver: false },
    { pool, kind: "drained", heldBy: "h", reason: "r", handOver: false },
  ],
  "release-queue": [{}, { pool }],
  cleanup: [{}, {}],
  doctor: [
    { repair: true, only: ["0123456789ab"] },
    { pool, repair: true, only: ["0123456789ab"] },
  ],
  "grow-pool": [{ dataBytes: 2 ** 20 }, { pool, dataBytes: 2 ** 20 }],
  "reset-pool": [{}, {}],
  "accept-unpack": [{ requests: [unpack] }, { requests: [unpack] }],
  "settle-unpack": [
    { unpackOperationId: "op-second-2", outcome: { kind: "unpacked", image } },
    { pool, unpackOperationId: "op-second-2", outcome: { kind: "unpacked", image } },
  ],
  "remove-images": [
    { names: [named], images: [imageId] },
    { pool, names: [named], images: [imageId] },
  ],
  "pin-images": [
    { images: [imageId], isPinned: true },
    { pool, images: [imageId], isPinned: true },
  ],
  "submit-batch": [
    { batch, platform: image.platform, items: [{ reference: image.image }] },
    { pool, batch, platform: image.platform, items: [{ reference: image.image }] },
  ],
  "cancel-batch": [
    { batch, reason: "r" },
    { pool, batch, reason: "r" },
  ],
  "retry-batch": [
    { batch, failedOnly: true },
    { pool, batch, failedOnly: true },
  ],
  "remove-batch": [{ batch }, { pool, batch }],
  "begin-unpack": [{ unpackOperationId: "op-second-2" }, { pool, unpackOperationId: "op-second-2" }],
  "note-attempt": [
    { unpackOperationId: "op-second-2", failure },
    { pool, unpackOperationId: "op-second-2", failure },
  ],
};

test("an operation that an earlier version has answered gets that answer when its job comes again", async () => {
  using database = temporaryDatabase();
  const record = readPool(database);
  if (record === undefined) throw new Error("the database has no pool");
  const driver = {
    name: record.driver,
    claim: async (_known: unknown, takeOver: () => unknown) => void (await Promise.resolve(takeOver())),
    list: () => Promise.resolve([]),
  } as unknown as Driver;
  const { fsType, deviceSizeBytes } = record;
  const handlers = journaledHandlers(
    createSnapshotter({ database, driver, pool: record.name, fsType, deviceSizeBytes }),
  );
  for (const name of journaledJobNames) {
    const [given, journaled] = requests[name];
    const id = operationId(`op-of-${name}`);
    const answer = { of: name };
    recordAnswer(database, { operationId: id, job: name, payload: journaled }, { outcome: "result", result: answer });
    const handler = handlers[name] as (payload: object, job: JobContext) => Promise<unknown>;
    const payload = parsePayload(name, { ...given, pool, operationId: id });
    expect(await handler(payload, {} as JobContext)).toEqual(answer);
  }
});

test("the journal remembers a repair of all that is safe as it did before repairs were chosen", () => {
  const payload = parsePayload("doctor", { pool, operationId: "op-of-doctor", repair: true });
  expect(journaledPayload("doctor", payload.pool, requestOf(payload))).toStrictEqual({ pool, repair: true });
});
