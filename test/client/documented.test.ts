// Tests the examples of docs/CLIENT.md: each is run as it stands, in a project that has the package, on a real snapmill.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { writeSmallImage } from "../support/small-image.ts";

setDefaultTimeout(180_000);

const root = join(import.meta.dir, "../..");
const document = await Bun.file(join(root, "docs/CLIENT.md")).text();
const examples = [...document.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text ?? "");

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start({ SNAPMILL_LOG_LEVEL: "error" });
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

test("every example prints what it should", async () => {
  const project = join(api.place.directory, "project");
  mkdirSync(join(project, "node_modules"), { recursive: true });
  symlinkSync(root, join(project, "node_modules/snapmill"));
  const { reference: image } = await writeSmallImage(join(api.place.directory, "image"));
  const printed: string[] = [];
  for (const [index, text] of examples.entries()) {
    writeFileSync(join(project, `example-${index}.ts`), text);
    const child = Bun.spawn([process.execPath, `example-${index}.ts`], {
      cwd: project,
      env: { ...childEnvironment({}), SNAPMILL_HOST: api.url, SNAPMILL_TOKEN: api.token, IMAGE: image },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    expect({ index, exitCode: await child.exited, stderr: stderr.replaceAll(/^\d+\n/gm, "") }).toEqual({
      index,
      exitCode: 0,
      stderr: "",
    });
    printed.push(stdout);
  }
  expect(printed).toEqual([
    "",
    "1 mount\nalready_exists - use what exists, remove it first, or choose another name\n",
    expect.stringMatching(/^unpacked [1-9]\d* layer\n$/),
  ]);
});
