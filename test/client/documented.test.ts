// Tests the examples of docs/CLIENT.md: each is checked and run as it stands, in a project that has the package, on a real snapmill.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type PoolClient } from "../../src/client/client.ts";
import { childEnvironment } from "../../src/config.ts";
import { formatPlatform, hostPlatform } from "../../src/images/platform.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

const root = join(import.meta.dir, "../..");
const document = await Bun.file(join(root, "docs/CLIENT.md")).text();
/** By the heading above it. */
const examples = new Map(
  [...document.matchAll(/^### (.*)\n(?:(?!^#)[\s\S])*?^```ts\n([\s\S]*?)^```$/gm)].map(([, title = "", text = ""]) => [
    title,
    text,
  ]),
);

let api: RunningApi;
let pool: PoolClient;
let project = "";
let image = "";
beforeAll(async () => {
  api = await RunningApi.start({ SNAPMILL_LOG_LEVEL: "error" });
  pool = connect({ host: api.url, token: api.token }).pool("default");
  project = join(api.place.directory, "project");
  mkdirSync(join(project, "node_modules"), { recursive: true });
  symlinkSync(root, join(project, "node_modules/snapmill"));
  for (const [title, text] of examples) writeFileSync(join(project, `${title}.ts`), text);
  ({ reference: image } = await writeSmallImage(join(api.place.directory, "image")));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

function start(title: string) {
  expect([...examples.keys()]).toContain(title);
  const child = Bun.spawn([process.execPath, `${title}.ts`], {
    cwd: project,
    env: { ...childEnvironment({}), SNAPMILL_HOST: api.url, SNAPMILL_TOKEN: api.token, IMAGE: image },
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  return { child, ended: said.then(([stdout, stderr, exitCode]) => ({ exitCode, stdout, stderr })) };
}

test("every example is typed strictly, and has a test here", () => {
  const compilerOptions = {
    target: "ESNext",
    lib: ["ESNext"],
    module: "Preserve",
    moduleResolution: "bundler",
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    typeRoots: [join(root, "node_modules")],
    types: ["bun-types"],
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  const { stdout } = Bun.spawnSync([join(root, "node_modules/.bin/tsc"), "--project", project]);
  expect(stdout.toString()).toBe("");
  expect([...examples.keys()].toSorted()).toEqual([...Object.keys(printed), "Cancellation", "Progress"].toSorted());
});

const printed = {
  Lists: "",
  Errors: "1 mount\n409 already_exists - use what exists, remove it first, or choose another name\n",
  Repetition: "one snapshot\n422 invalid_argument\n",
  Batches: "failed with 1 in the pool and 1 failed\noci:/images/none:v1 resolve not_found\n",
};

test.each(Object.entries(printed))("%s: the example prints what it should", async (title, stdout) => {
  expect(await start(title).ended).toEqual({ exitCode: 0, stdout, stderr: "" });
});

test("Progress: the example tells of its layers", async () => {
  await pool.removeImages({ targets: [{ reference: image }] });
  const { exitCode, stdout, stderr } = await start("Progress").ended;
  const platform = formatPlatform(hostPlatform());
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `unpacked 3 layers for ${platform}\n` });
  expect(stderr).toMatch(/^(\d of 3 layers, \d+ bytes\n)+$/);
});

test("Cancellation: the example's Ctrl-C cancels the unpack on the pool's host", async () => {
  await pool.holdQueue({ reason: "a test" });
  const { child, ended } = start("Cancellation");
  const pending = async () => (await pool.status({})).metadata?.pendingUnpacks;
  await until("the unpack waits", pending, (count) => count === 1, 60_000);
  child.kill("SIGINT");
  expect(await ended).toEqual({ exitCode: 0, stdout: "cancelled\n", stderr: "" });
  await pool.releaseQueue({});
  await until("nothing is to be unpacked", pending, (count) => count === 0, 60_000);
});
