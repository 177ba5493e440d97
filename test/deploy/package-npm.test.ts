// Tests the package as another project has it: installed by npm, typed strictly, run by bun on a real snapmill, refused by node.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { version } from "../../package.json";
import { childEnvironment, paths } from "../../src/config.ts";
import { urlIn } from "../supervisor/running-up.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";

setDefaultTimeout(240_000);

const root = join(import.meta.dir, "../..");
const node = Bun.which("node") ?? "node";
/** Without the tools of the checkout, as on a machine that only uses another's snapmill. */
const plainPath = [dirname(node), "/usr/bin", "/bin"].join(":");

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let project = "";
let command = "";
beforeAll(async () => {
  scratch = await temporaryDirectory();
  project = join(scratch.path, "project");
  command = join(project, "node_modules/.bin/snapmill");
  mkdirSync(project);
  await install(await packed());
});
afterAll(async () => await scratch[Symbol.asyncDispose]());

function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { BUN_OPTIONS: _, ...inherited } = childEnvironment({});
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { cwd: project, env: { ...inherited, ...env } });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

const packing = z.tuple([z.object({ filename: z.string(), integrity: z.string() })]);
type Packed = z.output<typeof packing>[0];

async function packed(): Promise<Packed> {
  const { stdout } = run(["npm", "pack", root, "--json", "--pack-destination", project]);
  return packing.parse(JSON.parse(stdout))[0];
}

const locked = z.record(
  z.string(),
  z.looseObject({ dev: z.boolean().optional(), devOptional: z.boolean().optional() }),
);

/** The dependencies are those of the checkout's lock file: npm has them in its cache. */
async function install({ filename, integrity }: Packed): Promise<void> {
  const { packages } = await Bun.file(join(root, "package-lock.json")).json();
  const all = locked.parse(packages);
  const needed = Object.entries(all).filter(([path, { dev, devOptional }]) => path !== "" && !dev && !devOptional);
  const { dependencies, bin } = z
    .object({ dependencies: z.record(z.string(), z.string()), bin: z.record(z.string(), z.string()) })
    .parse(await Bun.file(join(root, "package.json")).json());
  const own = { name: "project", version: "1.0.0", dependencies: { snapmill: `file:${filename}` } };
  const snapmill = { version, resolved: `file:${filename}`, integrity, dependencies, bin };
  writeFileSync(join(project, "package.json"), JSON.stringify({ ...own, private: true, type: "module" }));
  const lock = { "": own, "node_modules/snapmill": snapmill, ...Object.fromEntries(needed) };
  writeFileSync(join(project, "package-lock.json"), JSON.stringify({ lockfileVersion: 3, packages: lock }));
  const installed = run(["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"]);
  expect(installed).toMatchObject({ exitCode: 0, stderr: "" });
}

test("the command says its version and its help, by its path and through npx, and sets nothing up for that", () => {
  const env = { PATH: plainPath };
  expect(run([command, "--version"], env)).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
  expect(run(["npx", "--no", "--", "snapmill", "--version"], env)).toEqual({
    exitCode: 0,
    stdout: `${version}\n`,
    stderr: "",
  });
  expect(run([command, "--help"], env)).toMatchObject({ exitCode: 0, stderr: "" });
  const asking = run([command, "ls"], { ...env, SNAPMILL_HOST: "http://127.0.0.1:1" });
  expect(asking).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("cannot be reached") });
  expect(existsSync(join(project, "node_modules/snapmill/.tools"))).toBe(false);
});

const program = `import { connect } from "snapmill";
import { ApiError, type PoolClient } from "snapmill/client";
import settings from "./settings.json" with { type: "json" };

const pool: PoolClient = connect(settings).pool("default");
const states = new Set<string>();
const { layers, platform } = await pool.unpack(
  { reference: settings.reference },
  { onProgress: (progress) => progress.forEach(({ state }) => states.add(state)) },
);
const kinds: ("view" | "active" | "committed")[] = [];
for await (const { kind } of pool.listSnapshots({})) kinds.push(kind);
try {
  await pool.remove({ key: "none" });
} catch (error) {
  if (!(error instanceof ApiError)) throw error;
  console.log(JSON.stringify({ platform, layers: layers.length, kinds, code: error.code, wayOut: error.wayOut }));
}
`;

/** As strict as it gets; declarations of packages are checked, too. */
const compilerOptions = {
  target: "ESNext",
  lib: ["ESNext", "DOM", "DOM.AsyncIterable"],
  module: "Preserve",
  moduleResolution: "bundler",
  resolveJsonModule: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  skipLibCheck: false,
  types: [],
  noEmit: true,
};

const check = (files: readonly string[]) => {
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  return run([join(root, "node_modules/.bin/tsc"), "--project", "."]);
};

test("a program is typed strictly, with every declaration checked, and what is wrong is found", () => {
  writeFileSync(join(project, "settings.json"), JSON.stringify({ host: "", token: "", reference: "" }));
  writeFileSync(join(project, "program.ts"), program);
  expect(check(["program.ts"])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  writeFileSync(join(project, "wrong.ts"), program.replace("layers.length", "layers.size").replace("key:", "name:"));
  const { stdout } = check(["wrong.ts"]);
  expect(stdout).toMatch(/wrong.ts\(\d+,\d+\): error TS2353: .*'name' does not exist/);
  expect(stdout).toMatch(/wrong.ts\(\d+,\d+\): error TS2339: Property 'size' does not exist/);
});

test("bun runs it, on an up of the package", async () => {
  using snapmill = new TestSnapmill({ SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0", SNAPMILL_UNPACK_WORKERS: "1" });
  const { reference } = await writeSmallImage(join(snapmill.directory, "image"));
  const { REDIS_URL: _, ...inherited } = childEnvironment({});
  const up = Bun.spawn([command, "up"], {
    env: { ...inherited, ...snapmill.settings },
    stdout: "pipe",
    stderr: "pipe",
  });
  const { value } = await up.stdout.getReader().read();
  const host = urlIn(new TextDecoder().decode(value));
  const token = readFileSync(paths.httpToken(snapmill.config), "utf8").trim();
  writeFileSync(join(project, "settings.json"), JSON.stringify({ host, token, reference }));
  writeFileSync(join(project, "program.ts"), program);
  const { exitCode, stdout, stderr } = run([join(project, "node_modules/.bin/bun"), "program.ts"]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(JSON.parse(stdout)).toEqual({
    platform: expect.stringMatching(/^linux\//),
    layers: 3,
    kinds: Array(3).fill("committed"),
    code: "not_found",
    wayOut: expect.stringMatching(/./),
  });
  up.kill("SIGTERM");
  expect(await up.exited).toBe(0);
  expect(snapmill.residue()).toEqual([]);
});

test("node is told that the client needs bun", () => {
  writeFileSync(join(project, "program.mjs"), 'import { connect } from "snapmill";\nconsole.log(connect);\n');
  const { exitCode, stdout, stderr } = run([node, "program.mjs"]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toContain("Error: snapmill's client needs Bun");
});
