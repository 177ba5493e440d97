// Room: test. Owns what a command loads before it does anything: most end in less time than the queue's library takes.
import { expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const heavy = /node_modules\/(bullmq|ioredis|hono|prom-client|@opentelemetry|@grpc|toml-eslint-parser)\//;

/**
 * The packages among `wanted` that a fresh process has loaded after it has made the commands that `args` need (none: all)
 * and imported `modules`.
 */
function loadedBy(args: readonly string[], modules: readonly string[], wanted = heavy): readonly string[] {
  const program = `
    const { buildProgram } = await import(${JSON.stringify(join(root, "src/cli/program.ts"))});
    await buildProgram("0.0.0", ${JSON.stringify(args)});
    for (const path of ${JSON.stringify(modules.map((path) => join(root, path)))}) await import(path);
    console.log(JSON.stringify(Object.keys(require.cache)));`;
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "--eval", program], { cwd: root });
  expect(stderr.toString()).toBe("");
  const paths = JSON.parse(stdout.toString()) as readonly string[];
  // Otherwise nothing was looked at.
  expect(paths.some((path) => path.endsWith("/commander/index.js") || path.includes("/commander/"))).toBe(true);
  return [...new Set(paths.flatMap((path) => wanted.exec(path)?.[1] ?? []))];
}

test("a command on this host's pool loads neither the queue's library nor a server's", () => {
  expect(loadedBy([], ["src/cli/pool/local.ts"])).toEqual([]);
});

test("what is looked for is found where it is loaded", () => {
  expect(loadedBy([], ["src/jobs/queues.ts"])).toContain("bullmq");
});

test.each([["unpack"], ["--version"]])("%s alone loads no library for schemas, tables or patterns", (first) => {
  const wanted = /node_modules\/(zod|drizzle-orm|re2js)\//;
  expect(loadedBy([first], [], wanted)).toEqual([]);
  // Files of one program are loaded side by side, in any order.
  expect(loadedBy([], [], wanted).toSorted()).toEqual(["drizzle-orm", "re2js", "zod"]);
});

test("an unpack beside an 'up' loads neither what starts services, nor drivers, nor other operations", () => {
  const wanted = /src\/(supervisor\/services|drivers\/open|service\/api)\.ts/;
  expect(loadedBy(["unpack"], ["src/cli/pool/unpacking.ts", "src/jobs/requests/client.ts"], wanted)).toEqual([]);
  expect(loadedBy([], ["src/cli/pool/local.ts"], wanted).toSorted()).toEqual(["drivers/open", "service/api"]);
});
