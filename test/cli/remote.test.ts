// Tests the commands over HTTP on a real snapmill: what they say is what they say on the pool's host.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import { childEnvironment } from "../../src/config.ts";
import { RunningApi } from "../api/v1/running-api.ts";

setDefaultTimeout(180_000);

const cli = join(import.meta.dir, "../../src/cli.ts");

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start({ SNAPMILL_LOG_LEVEL: "error" });
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** What a command says and how it ends, without this machine's settings. */
async function remotely(args: readonly string[], settings: Readonly<Record<string, string>> = {}) {
  const { REDIS_URL: _redis, SNAPMILL_STATE_DIR: _state, ...inherited } = childEnvironment({});
  const child = Bun.spawn([process.execPath, cli, ...args], {
    env: { ...inherited, SNAPMILL_HOST: api.url, SNAPMILL_TOKEN: api.token, ...settings },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

const locally = (args: readonly string[]) => api.place.run(...args);

const masked = (text: string): string =>
  text
    .replaceAll(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z)?/g, "TIME")
    .replaceAll(/"(created|updated)AtMs":\d+/g, '"$1AtMs":0')
    .replaceAll(/"atMs":\d+/g, '"atMs":0')
    .replaceAll(/default-snap-\d+/g, "DEVICE")
    .replaceAll(/far|here/g, "ONE");

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const shown = ({ exitCode, stdout, stderr }: Ended) => ({ exitCode, stdout: masked(stdout), stderr: masked(stderr) });

describe("a command says over HTTP what it says on the pool's host:", () => {
  /** `PLACE` is another name each way: a change can happen once. */
  test.each([
    ["prepare a-PLACE -l team=edge", 0],
    ["prepare PLACE/with/slashes --json", 0],
    ["prepare a-PLACE", 1],
    ["mounts a-PLACE", 0],
    ["mounts a-PLACE --json", 0],
    ["stat a-PLACE", 0],
    ["stat a-PLACE --json", 0],
    ["stat PLACE/with/slashes", 0],
    ["label a-PLACE team=core note=", 0],
    ["label a-PLACE team=core --json", 0],
    ["commit base-PLACE a-PLACE", 0],
    ["commit base-PLACE a-PLACE", 1],
    ["usage base-PLACE", 0],
    ["usage base-PLACE --json", 0],
    ["view v-PLACE base-PLACE", 0],
    ["rm base-PLACE", 1],
    ["rm v-PLACE nothing-PLACE PLACE/with/slashes", 1],
    ["status", 0],
    ["status --json", 0],
    ["doctor", 0],
    ["doctor --json", 0],
    ["removals", 0],
    ["pool status", 1],
    ["hosts", 0],
    ["cleanup", 0],
    ["images", 0],
    ["images prune --dry-run", 0],
    ["images pin nothing:1", 1],
    ["images rm nothing:1", 1],
    ["batch ls", 0],
    ["batch show b-000000000000", 1],
    ["batch cancel b-000000000000", 1],
    ["ls", 0],
    ["ls -l --full", 0],
    ["ls --json", 0],
    ["ls kind==committed", 0],
    ["ls kind~=[", 2],
    ["ls --scope containerd", 0],
    ["stat nothing", 1],
    ["stat sha256:abcd", 1],
    ["rm sha256:abcd", 1],
    ["prepare x no-parent", 1],
    ["stat nothing --pool Bad", 2],
  ])("%s", async (line, exitCode) => {
    const words = (place: string) => line.replaceAll("PLACE", place).split(" ");
    const [here, far] = [await locally(words("here")), await remotely(words("far"))];
    expect(shown(far)).toEqual(shown(here));
    expect(here.exitCode).toBe(exitCode);
  });
});

describe("what is another host's is said so:", () => {
  test.each([
    ["mount base-here /mnt", "'snapmill mount' works on this machine only: run it on the pool's host"],
    ["umount /mnt", "'snapmill umount' works on this machine only"],
    ["up", "'snapmill up' works on this machine only"],
    ["pool create --loopback /tmp/x", "'snapmill pool create' works on this machine only"],
    ["pool reset", "'snapmill pool reset' works on this machine only"],
    ["unpack oci:./image", "oci:./image has a relative path: give the path on the pool's host, from its root"],
    ["ls --pool other", "there is no pool other here, only default"],
  ])("%s", async (line, words) => {
    const { exitCode, stdout, stderr } = await remotely(line.split(" "));
    expect(stderr).toStartWith("snapmill: ");
    expect(stderr).toContain(words);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  });

  test("a token that is not known, and none", async () => {
    for (const given of ["wrong", ""]) {
      const { exitCode, stderr } = await remotely(["ls"], { SNAPMILL_TOKEN: given });
      expect(stderr).toBe(
        `snapmill: ${api.url}: the request has no valid token: set SNAPMILL_TOKEN to a token of 'snapmill token create' on that host\n`,
      );
      expect(exitCode).toBe(1);
    }
  });

  test("certificates that cannot be read", async () => {
    const { stderr } = await remotely(["ls"], { SNAPMILL_CA: "/no/such/file" });
    expect(stderr).toContain("SNAPMILL_CA cannot be read");
  });

  test("--host counts more than the environment, and contradicts --state-dir; --state-dir means this machine", async () => {
    const nowhere = { SNAPMILL_HOST: "http://127.0.0.1:1" };
    expect((await remotely(["ls", "--host", api.url], nowhere)).exitCode).toBe(0);
    expect((await remotely(["ls", "--host", api.url, "--state-dir", "/x"])).stderr).toBe(
      "snapmill: --host and --state-dir contradict each other\n",
    );
    const { stateDir, runDir } = api.place.config;
    const here = await remotely(["ls", "--state-dir", stateDir], { ...nowhere, SNAPMILL_RUN_DIR: runDir });
    expect(here.exitCode).toBe(0);
  });
});

test("a long list is printed page by page; a reader that leaves ends it", async () => {
  const made = Array.from({ length: 620 }, (_, index) => `many/${String(index).padStart(4, "0")}`);
  const pool = connect({ host: api.url, token: api.token }).pool("default");
  await pool.prepare({ scope: "many", key: "made", labels: {} });
  await pool.commit({ scope: "many", key: "made", name: "base", labels: {} });
  for (const key of made) await pool.view({ scope: "many", key, parent: "base", labels: {} });
  const script = join(api.place.directory, "head.sh");
  writeFileSync(script, '"$@" | head -3\n');
  const whole = await remotely(["ls", "--scope", "many", "--json"]);
  expect(whole.stdout.trimEnd().split("\n")).toHaveLength(made.length + 1);
  expect(shown(await locally(["ls", "--scope", "many"])).stdout).toBe(
    shown(await remotely(["ls", "--scope", "many"])).stdout,
  );
  const head = Bun.spawn(["bash", script, process.execPath, cli, "ls", "--scope", "many", "--json"], {
    env: { ...childEnvironment({}), SNAPMILL_HOST: api.url, SNAPMILL_TOKEN: api.token },
    stdout: "pipe",
    stderr: "pipe",
  });
  expect((await new Response(head.stdout).text()).trimEnd().split("\n")).toHaveLength(3);
  expect(await new Response(head.stderr).text()).toBe("");
});
