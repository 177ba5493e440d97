// Tests unpack over HTTP on a real snapmill: its events, Ctrl-C, --detach, and a snapmill that is killed and started again.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type PoolClient } from "../../src/client/client.ts";
import { childEnvironment } from "../../src/config.ts";
import { formatPlatform, hostPlatform } from "../../src/images/platform.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { freePort } from "../support/ports.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

const cli = join(import.meta.dir, "../../src/cli.ts");

let api: RunningApi;
let pool: PoolClient;
let reference: string;
beforeAll(async () => {
  const port = await freePort();
  api = await RunningApi.start({ SNAPMILL_LOG_LEVEL: "error", SNAPMILL_HTTP_ADDRESS: `127.0.0.1:${port}` });
  pool = connect({ host: api.url, token: api.token }).pool("default");
  ({ reference } = await writeSmallImage(join(api.place.directory, "image")));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const remotely = (...args: readonly string[]) => remotelyFrom([], ...args);

/** `machine`: flags of bun that make the caller's machine another. */
function remotelyFrom(machine: readonly string[], ...args: readonly string[]) {
  const { REDIS_URL: _redis, SNAPMILL_STATE_DIR: _state, ...inherited } = childEnvironment({});
  const child = Bun.spawn([process.execPath, ...machine, cli, ...args], {
    env: { ...inherited, SNAPMILL_HOST: api.url, SNAPMILL_TOKEN: api.token },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  return { child, ended: said.then(([stdout, stderr, exitCode]) => ({ exitCode, stdout, stderr })) };
}

/** Stops the unpack workers while `action` runs, so that an unpack is under way meanwhile. */
async function whileNothingUnpacks<T>(action: () => Promise<T>): Promise<T> {
  // A cancelled unpack may have cost a worker, and the one that replaces it would not be stopped.
  const { unpackWorkers } = api.place.config;
  const areThere = (found: readonly number[]) => found.length === unpackWorkers;
  const pids = await until("the unpack workers", () => api.place.pidsOf("unpack.ts"), areThere, 60_000);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    return await action();
  } finally {
    for (const pid of api.place.pidsOf("unpack.ts")) process.kill(pid, "SIGCONT");
  }
}

const pendingUnpacks = async () => (await pool.status({})).metadata?.pendingUnpacks;
const untilPending = (count: number) =>
  until("the unpacks to do", pendingUnpacks, (pending) => pending === count, 60_000);

test("Ctrl-C cancels the unpack on its host", async () => {
  const stopped = await whileNothingUnpacks(async () => {
    const { child, ended } = remotely("unpack", reference);
    await untilPending(1);
    child.kill("SIGINT");
    await Bun.sleep(500);
    return ended;
  });
  expect({ ...stopped, stderr: "" }).toEqual({ exitCode: 130, stdout: "", stderr: "" });
  await untilPending(0);
});

const whileDrained = async (action: () => Promise<void>) => {
  await pool.drain({});
  try {
    await action();
  } finally {
    await pool.releaseQueue({});
  }
};

test.each([
  ["whose workers are busy", whileNothingUnpacks<void>],
  ["that is drained", whileDrained],
] as const)(
  "an unpack that waits in a pool %s is out of the queue as soon as it is cancelled",
  async (_, meanwhile) => {
    await meanwhile(async () => {
      const asked = { method: "POST", body: { reference }, headers: { prefer: "respond-async" } };
      const place = (await api.pool("/images/unpack", asked)).headers.get("location") ?? "";
      await untilPending(1);
      await api.ask(place, { method: "DELETE" });
      const waiting = async () => (await pool.queues({})).unpack.waiting;
      await until("the queue is empty", waiting, (count) => count === 0, 60_000);
      expect((await api.ask(place)).body).toMatchObject({ state: "failed", failure: { code: "aborted" } });
    });
    await untilPending(0);
  },
);

test("a snapmill that is killed and started again meanwhile has unpacked it in the end", async () => {
  const unpacked = await whileNothingUnpacks(async () => {
    const { ended } = remotely("unpack", "--json", reference);
    await untilPending(1);
    await api.restart("SIGKILL");
    return ended;
  });
  expect({ ...unpacked, stdout: "" }).toMatchObject({ exitCode: 0, stderr: expect.not.stringContaining("snapmill:") });
  expect(JSON.parse(unpacked.stdout)).toMatchObject({
    image: expect.stringContaining("oci:"),
    layers: Array(3).fill({ cached: false }),
  });
});

describe("an image that is there", () => {
  test("is reported as on the pool's host", async () => {
    const masked = (text: string) => text.replaceAll(/\d+(\.\d+)? m?s\b/g, "TIME");
    const [here, far] = [await api.place.run("unpack", reference), await remotely("unpack", reference).ended];
    expect({ ...far, stdout: masked(far.stdout) }).toEqual({ ...here, stdout: masked(here.stdout) });
    expect(here.exitCode).toBe(0);
  });

  test("is told layer by layer", async () => {
    const heard: (readonly unknown[])[] = [];
    const onProgress = (layers: readonly unknown[]) => heard.push(layers);
    const { layers } = await pool.unpack({ reference, platform: "linux/amd64" }, { onProgress });
    expect(layers).toHaveLength(3);
    for (const each of heard) expect(each).toHaveLength(3);
  });

  test("is submitted with --detach, whose batch ends by itself", async () => {
    const { exitCode, stdout } = await remotely("unpack", "--detach", reference).ended;
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/b-[0-9a-f]+/)]);
    const batch = /b-[0-9a-f]+/.exec(stdout)?.[0] ?? "";
    const shown = () => remotely("batch", "show", batch, "--json").ended;
    await until("the batch has ended", shown, (found) => found.stdout.includes('"present":1'), 60_000);
  });
});

describe("a caller on a machine of another architecture", () => {
  const given = formatPlatform(hostPlatform());
  const other =
    given === "linux/arm64/v8" ? { arch: "x64", name: "linux/amd64" } : { arch: "arm64", name: "linux/arm64" };
  const elsewhere = async (...args: readonly string[]) => {
    const preloaded = join(api.place.directory, "machine.ts");
    writeFileSync(preloaded, `Object.defineProperty(process, "arch", { value: "${other.arch}" });\n`);
    return await remotelyFrom(["--preload", preloaded], ...args).ended;
  };

  test("gets the image of the pool's host", async () => {
    const { exitCode, stderr } = await elsewhere("unpack", "--json", reference);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    const plan = await elsewhere("unpack", "--dry-run", "--json", reference);
    expect(plan.stdout).toContain(`"platform":"${given}"`);
  });

  test("submits a batch of images of the pool's host", async () => {
    const list = join(api.place.directory, "images.txt");
    writeFileSync(list, `${reference}\n`);
    const { stdout } = await elsewhere("batch", "submit", "--json", list);
    const { batch } = JSON.parse(stdout) as { batch: string };
    const items = await Array.fromAsync(pool.listBatchItems({ batch }));
    expect(items.map(({ platform }) => platform)).toEqual([given]);
    await until(
      "the batch's end",
      () => pool.batch({ batch }),
      ({ state }) => state === "done",
      60_000,
    );
  });

  test("may ask for another one", async () => {
    const { exitCode, stderr } = await elsewhere("unpack", "--platform", other.name, reference);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(other.name);
  });
});

test("a program that names no platform gets the image of the pool's host", async () => {
  expect((await pool.unpack({ reference })).platform).toBe(formatPlatform(hostPlatform()));
  const { items } = await pool.submitBatch({ batch: "b-of-a-program", items: [{ reference }] });
  expect(items).toBe(1);
});

test("an image that is not there fails with the same sentence and status", async () => {
  const args = ["unpack", "oci:/nothing/here"];
  const [here, far] = [await api.place.run(...args), await remotely(...args).ended];
  expect(far).toEqual(here);
  expect(here.exitCode).toBe(1);
});
