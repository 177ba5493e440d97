// Owns the proof that a drained pool begins no unpack, whatever is restarted or lost, and finishes what waits afterwards.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Redis } from "ioredis";
import { redisUrl } from "../../src/config.ts";
import type { QueueState } from "../../src/service/queues.ts";
import type { Status } from "../../src/service/status.ts";
import { lookEveryMs } from "../../workers/hand-over.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";
import { healthOf, Place, type Up, urlIn } from "./running-up.ts";

setDefaultTimeout(300_000);

let place: Place;
let up: Up;
let url = "";
let list = "";
beforeEach(async () => {
  place = new Place();
  const { reference } = await writeSmallImage(join(place.directory, "image"));
  list = join(place.directory, "images.txt");
  await Bun.write(list, `${reference}\n`);
  await start();
});
afterEach(async () => {
  // In order: a killed `up` leaves the pool mounted.
  await up.end("SIGTERM");
  place[Symbol.dispose]();
});

async function start(): Promise<void> {
  up = place.up();
  url = urlIn(await up.ready());
}

async function ok(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await place.run(...args);
  expect([args, exitCode, exitCode === 0 ? "" : stderr]).toEqual([args, 0, ""]);
  return stdout;
}

const unpackQueue = async (): Promise<QueueState> => JSON.parse((await ok("queues", "--json")).split("\n")[1] ?? "");
const metadata = async () => (JSON.parse(await ok("status", "--json")) as Status).metadata;

/** Stands still at its first layer until it is told to go on. */
function stoppedWriter(): Disposable & { readonly goOn: () => void } {
  const [pid] = place.pidsOf("writer");
  if (pid === undefined) throw new Error(`there is no writer: ${place.processes().join("\n")}`);
  process.kill(pid, "SIGSTOP");
  const goOn = () => void process.kill(pid, "SIGCONT");
  return { goOn, [Symbol.dispose]: goOn };
}

async function empty(): Promise<void> {
  const redis = new Redis(redisUrl(place.config));
  await redis.flushall();
  redis.disconnect();
}

const untilDone = (batch: string) =>
  until(
    "the batch is done",
    async () => JSON.parse((await ok("batch", "show", batch, "--json")).split("\n")[0] ?? "") as { state: string },
    ({ state }) => state === "done",
    120_000,
  );

test("an image that is being unpacked goes back between two layers, stays held, and is finished after resume", async () => {
  const reference = (await Bun.file(list).text()).trim();
  // Its writer is started with a worker's first image.
  await ok("unpack", reference);
  await ok("images", "rm", reference);
  let batch = "";
  {
    using writer = stoppedWriter();
    batch = (await ok("batch", "submit", list)).trim();
    await until("its first layer is begun", metadata, (found) => found?.snapshots.active === 1);
    const draining = place.run("drain", "--timeout", "1s", "--reason", "new kernel");
    await until("it is to be handed over", metadata, (found) => (found?.hold?.handOverAtMs ?? null) !== null);
    // A layer takes less than the time between two looks of its worker, which must know before it ends.
    await Bun.sleep(4 * lookEveryMs);
    writer.goOn();
    const { exitCode, stdout } = await draining;
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining("(new kernel)\n0 unpacks run, 1 waits\n")]);
  }
  expect((await metadata())?.snapshots).toMatchObject({ active: 0, committed: 1 });
  expect(await up.end("SIGTERM")).toBe(0);

  const refused = await place.run("unpack", reference);
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining("before 'snapmill resume'")]);
  await start();
  await up.says("(new kernel): unpacks wait until 'snapmill resume'");
  expect(await healthOf(url, place)).toMatchObject({
    status: 503,
    body: { parts: { queue: [expect.stringMatching(/drained since .* by .* \(new kernel\): 'snapmill resume'/)] } },
  });
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect(await unpackQueue()).toMatchObject({ waiting: 1, active: 0, isPaused: true, hold: { kind: "drained" } });

  await ok("resume");
  await untilDone(batch);
  expect((await metadata())?.snapshots).toMatchObject({ active: 0, committed: 3 });
  expect((await healthOf(url, place)).status).toBe(200);
});

test("a Redis that is emptied while the pool is drained is told again, and unpacks that come meanwhile wait", async () => {
  await ok("drain");
  const submitted = await place.run("batch", "submit", list);
  expect([submitted.exitCode, submitted.stderr]).toEqual([0, expect.stringContaining("unpacks wait until")]);
  await until("it waits", unpackQueue, ({ waiting }) => waiting === 1);
  await empty();
  await until("it waits again, held", unpackQueue, ({ waiting, isPaused }) => waiting === 1 && isPaused);
  expect(await metadata()).toMatchObject({ pendingUnpacks: 1, snapshots: { committed: 0 } });
  expect(JSON.parse(await ok("resume", "--json"))).toMatchObject({ hold: { kind: "drained" }, isPaused: false });
  await untilDone(submitted.stdout.trim());
});

test("a queue that another program has paused is reported, and resumed as well; a pause is not a drain's end", async () => {
  const redis = new Redis(redisUrl(place.config));
  await redis.hset("{snapmill:default}:default.unpack:meta", "paused", "1");
  redis.disconnect();
  expect(await unpackQueue()).toMatchObject({ isPaused: true, hold: null });
  await ok("queues", "pause", "--reason", "first");
  await ok("drain", "--reason", "second");
  await ok("queues", "pause", "--reason", "third");
  expect(await unpackQueue()).toMatchObject({ isPaused: true, hold: { kind: "drained", reason: "second" } });
  await ok("queues", "resume");
  expect(await unpackQueue()).toMatchObject({ isPaused: false, hold: null });
});
