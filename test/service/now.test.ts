// Room: test. Owns what a real snapmill says of itself at work: its worker, unpacks that run, and those that have ended.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { type ChainId, diffId } from "../../src/domain/identifiers.ts";
import { operationInHand } from "../../src/service/worker-note.ts";
import { acquireLock } from "../../src/system/file/locks.ts";
import { chainIdsOf } from "../../src/unpack/chain.ts";
import { lockPath } from "../../src/unpack/layer-turns.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { writeImage } from "../support/images.ts";
import { Registry, registryPrograms } from "../support/registry.ts";
import { file } from "../support/tar-entries.ts";
import { testWith } from "../support/tools.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const now = async () => (await api.pool("/now")).body;
const unpack = (reference: string, prefer = "wait=60") =>
  api.pool("/images/unpack", { method: "POST", headers: { prefer }, body: { reference, platform: "linux/amd64" } });
interface Stage {
  readonly stage: string;
  readonly startMs: number;
  readonly endMs: number | null;
  readonly spentMs: number | null;
}
const names = (stages: readonly Stage[]) => stages.map(({ stage }) => stage);

test("the worker waits for work, and while it works, its operation and since when are told", async () => {
  const idle = await until("it waits", now, ({ worker }) => worker?.operation === null);
  expect(idle).toMatchObject({ worker: { operationId: null, sinceMs: null, isSlow: false }, unpacks: [] });
  const preparing = Promise.all(
    Array.from({ length: 30 }, (_, index) => api.pool(`/snapshots/s${index}/prepare`, { method: "POST", body: {} })),
  );
  const [pid] = api.place.pidsOf("workers/pool.ts");
  if (pid === undefined) throw new Error("there is no pool worker");
  // An operation takes milliseconds: the worker is stopped in the middle of one.
  await until("it is stopped while it prepares", async () => {
    if (operationInHand(api.place.config) === undefined) return false;
    process.kill(pid, "SIGSTOP");
    if (operationInHand(api.place.config)?.job === "prepare") return true;
    process.kill(pid, "SIGCONT");
    return false;
  });
  const busy = await now();
  process.kill(pid, "SIGCONT");
  expect(busy.worker).toMatchObject({ operation: "prepare", operationId: expect.stringMatching(/^op-/) });
  expect(Math.abs(busy.atMs - busy.worker.sinceMs)).toBeLessThan(10_000);
  await preparing;
  await until("it waits again", now, ({ worker }) => worker?.operation === null);
  for (let index = 0; index < 30; index += 1) await api.pool(`/snapshots/s${index}`, { method: "DELETE" });
  const usual = await until(
    "it is known how long it usually takes",
    async () => {
      void api
        .pool("/snapshots/again/prepare", { method: "POST", body: {} })
        .then(() => api.pool("/snapshots/again", { method: "DELETE" }));
      return (await now()).worker;
    },
    (worker) => worker?.usuallyWithinMs > 0,
  );
  expect(usual.usuallyWithinMs).toBeLessThan(60_000);
});

test("an unpack that runs shows its layers live, and, ended, for good", async () => {
  const image = await writeImage(join(api.place.directory, "image"), [
    { content: [file("one", "1".repeat(100_000))] },
    { content: [file("two", "2")] },
  ]);
  const [, second] = chainIdsOf(image.layers.map((layer) => ({ diffId: diffId(layer.diffId) })));
  const barrier = await acquireLock(lockPath(paths.chainLocks(api.place.config), second as ChainId));
  const accepted = await unpack(image.reference, "respond-async");
  const { operationId } = accepted.body;
  const running = await until("its second layer waits", now, ({ unpacks }) =>
    unpacks?.[0]?.layers[1]?.stages.some(({ stage }: Stage) => stage === "wait"),
  );
  const [live] = running.unpacks;
  expect(live).toMatchObject({ operationId, image: image.reference, state: "running", endedAtMs: null, failure: null });
  expect(live.layers[0].state).toBe("unpacked");
  expect(names(live.layers[0].stages)).toEqual(["wait", "prepare", "mount", "inflate", "write", "flush", "commit"]);
  expect(live.layers[1]).toMatchObject({ state: "waiting", stages: [{ stage: "wait", endMs: null, spentMs: null }] });
  expect((await api.pool(`/unpacks/${operationId}`)).body.layers[0]).toEqual(live.layers[0]);
  const { stdout } = await api.place.run("status");
  expect(stdout).toMatch(/^Unpacking +oci:.* for .*: 1 of 2 layers$/m);
  barrier[Symbol.dispose]();

  const ended = async () => (await api.pool(`/unpacks/${operationId}`)).body;
  const done = await until("it has ended", ended, ({ state }) => state === "unpacked");
  for (const { stages } of done.layers as { stages: readonly Stage[] }[]) {
    expect(names(stages)).toEqual(["wait", "prepare", "mount", "inflate", "write", "flush", "commit"]);
    for (const { startMs, endMs, spentMs } of stages) {
      expect(startMs).toBeGreaterThanOrEqual(done.startedAtMs - 1);
      expect(endMs).toBeLessThanOrEqual(done.endedAtMs + 1);
      expect(spentMs).toBeLessThanOrEqual((endMs ?? 0) - startMs + 1);
    }
  }
  await api.restart("SIGKILL");
  expect(await ended()).toEqual(done);
});

test("layers that the pool had are told as cached with what they saved; a failure with where it was", async () => {
  const shared = { content: [file("one", "1".repeat(100_000))] };
  const again = await writeImage(join(api.place.directory, "again"), [shared, { content: [file("three", "3")] }]);
  const { body } = await unpack(again.reference);
  const broken = await writeImage(join(api.place.directory, "broken"), [
    shared,
    { content: [file("four", "4")], diffId: `sha256:${"0".repeat(64)}` },
  ]);
  await unpack(broken.reference);
  const listed = await until(
    "both have ended",
    async () => (await api.pool("/unpacks?limit=2")).body.items,
    (items) => items[0]?.image === broken.reference || items[1]?.image === broken.reference,
  );
  const one = listed.find(({ image }: { image: string }) => image === again.reference);
  expect(one.layers[0]).toMatchObject({ state: "cached", stages: [] });
  expect(one.savedBytes).toBe(body.layers[0].compressedBytes);
  const other = listed.find(({ image }: { image: string }) => image === broken.reference);
  expect(other).toMatchObject({ state: "failed", failure: { code: "invalid_argument" } });
  expect(other.layers[1].state).toBe("unpacking");
  const failures = await until(
    "the failure is counted",
    async () => (await now()).failures,
    (found) => found.length > 0,
  );
  expect(failures).toContainEqual({ operation: "unpack", code: "invalid_argument", count: 1 });
});

test("an unpack that nobody has asked for is not found", async () => {
  expect((await api.pool("/unpacks/op-00000000-0000-0000-0000-000000000000")).status).toBe(404);
});

testWith(
  registryPrograms,
  "a layer of a registry has a stage of its own for its download",
  async () => {
    const image = await writeImage(join(api.place.directory, "pushed"), [{ content: [file("far", "f".repeat(9))] }]);
    await using registry = await Registry.start(join(api.place.directory, "registry"));
    await registry.push(image.reference, "org/far:v1");
    const reference = `docker://${registry.host}/org/far:v1`;
    const { body } = await api.pool("/images/unpack", {
      method: "POST",
      headers: { prefer: "wait=60" },
      body: { reference, platform: "linux/amd64", registry: { plainHttp: true } },
    });
    expect(body.image).toBe(reference);
    const [latest] = (await api.pool("/unpacks?limit=1")).body.items;
    expect(latest).toMatchObject({ image: reference, state: "unpacked" });
    const stages: readonly Stage[] = latest.layers[0].stages;
    expect(names(stages)).toEqual(["wait", "prepare", "fetch", "mount", "inflate", "write", "flush", "commit"]);
    expect(stages.every(({ endMs }) => endMs !== null)).toBe(true);
  },
  120_000,
);
