// Room: test. Owns the release: made twice alike, installed, used without node and npm, upgraded, and removed again.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { version } from "../../package.json";
import { textOf, Visitor } from "../api/pages/page-visitor.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { processesOf } from "../support/residue.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";

const root = join(import.meta.dir, "../..");
const timeoutMs = 300_000;

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>;
let archive = "";
/** The unpacked release. */
let release = "";
/** A PATH with everything but node, npm and bun. */
let path = "";

function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { env: { PATH: path, ...env }, cwd: "/" });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

function pathWithoutNode(directory: string): string {
  mkdirSync(directory);
  for (const place of [join(root, ".tools/bin"), "/usr/local/sbin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]) {
    for (const name of existsSync(place) ? readdirSync(place) : []) {
      const link = join(directory, name);
      if (/^(node|nodejs|npm|npx|bun|bunx)$/.test(name) || existsSync(link)) continue;
      rmSync(link, { force: true });
      symlinkSync(join(place, name), link);
    }
  }
  return directory;
}

function makeRelease(out: string): string {
  const made = Bun.spawnSync([process.execPath, join(root, "scripts/package.ts"), "--out", out], {
    env: { PATH: path, SOURCE_DATE_EPOCH: "1790000000" },
  });
  expect(made.stderr.toString()).toBe("");
  return made.stdout.toString().trim();
}

beforeAll(async () => {
  scratch = await temporaryDirectory();
  path = pathWithoutNode(join(scratch.path, "path"));
  archive = makeRelease(join(scratch.path, "one"));
  mkdirSync(join(scratch.path, "unpacked"));
  expect(run(["tar", "-xzf", archive, "-C", join(scratch.path, "unpacked")])).toMatchObject({
    exitCode: 0,
    stderr: "",
  });
  release = join(scratch.path, "unpacked", basename(archive, ".tar.gz"));
}, timeoutMs);
afterAll(async () => await scratch[Symbol.asyncDispose]());

describe("the archive", () => {
  test(
    "has the same bytes when it is made again, and its sum beside it",
    () => {
      const again = makeRelease(join(scratch.path, "two"));
      expect(run(["cmp", archive, again])).toEqual({ exitCode: 0, stdout: "", stderr: "" });
      const check = run(["sh", "-c", 'cd "$1" && sha256sum -c SHA256SUMS', "sh", join(scratch.path, "one")]);
      expect(check).toEqual({ exitCode: 0, stdout: `${basename(archive)}: OK\n`, stderr: "" });
    },
    timeoutMs,
  );

  test("has what is used, and nothing of development", () => {
    const there = ["snapmill", "LICENCES", "LICENSE", "README.md", "docs", "man/snapmill.1", "completions/zsh"];
    expect(there.filter((name) => !existsSync(join(release, name)))).toEqual([]);
    const packages = readdirSync(join(release, "node_modules"));
    expect(packages).toContain("bullmq");
    expect(
      packages.filter((name) => /^(typescript|@biomejs|bun-types|drizzle-kit|oxlint|kubernetes-models)$/.test(name)),
    ).toEqual([]);
    expect(readFileSync(join(release, "LICENCES"), "utf8")).toMatch(/^bullmq \d.*: MIT$/m);
  });
});

/** What the pages need is there: their own modules, styles and script, and the library in it. */
async function expectPages(link: string): Promise<void> {
  const { origin } = new URL(link);
  const visitor = new Visitor(() => origin);
  const { status, html } = await visitor.visit(link.slice(origin.length));
  expect(status).toBe(200);
  expect(textOf(html)).toContain("Sign out");
  expect(html).toContain('lang="en"');
  for (const [pattern, content] of [
    [/<script type="module" src="([^"]+)"/, "Idiomorph.morph("],
    [/<link rel="stylesheet" href="([^"]+)"/, "prefers-color-scheme"],
  ] as const) {
    const asset = await visitor.send(pattern.exec(html)?.[1] ?? "no such asset");
    expect(asset.status).toBe(200);
    expect(await asset.text()).toContain(content);
  }
}

describe("the release", () => {
  test(
    "installed without node, runs, unpacks, is examined, upgraded with its unit, and removed",
    async () => {
      using snapmill = new TestSnapmill({ SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0", SNAPMILL_UNPACK_WORKERS: "1" });
      const image = await writeSmallImage(join(snapmill.directory, "image"));
      const prefix = join(scratch.path, "prefix");
      const units = join(scratch.path, "units");
      const install = () => run([join(release, "install.sh"), "--prefix", prefix, "--unit-dir", units]);
      const installed = install();
      expect(installed).toEqual({
        exitCode: 0,
        stdout: "",
        stderr: `snapmill: snapmill ${version}, 2026-09-21 is installed in ${prefix}\n`,
      });
      const program = join(prefix, "bin/snapmill");
      expect(run([program, "--version"])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
      expect(readFileSync(join(units, "snapmill.service"), "utf8")).toContain(`\nExecStart=${program} up\n`);

      const env = { PATH: path, ...snapmill.settings, HOME: snapmill.directory };
      const up = Bun.spawn([program, "up"], { env, cwd: "/", stdout: "pipe", stderr: "pipe" });
      const { value } = await up.stdout.getReader().read();
      expect(new TextDecoder().decode(value)).toContain("snapmill is ready");
      expect(run([program, "unpack", image.reference], env)).toMatchObject({ exitCode: 0 });
      expect(run([program, "doctor"], env)).toMatchObject({ exitCode: 0 });
      await expectPages(run([program, "sign-in"], env).stdout.trim());

      // While it runs: what it has is kept, also what was added to its unit.
      const dropIn = join(units, "snapmill.service.d");
      mkdirSync(dropIn);
      writeFileSync(join(dropIn, "local.conf"), "[Service]\nNice=5\n");
      writeFileSync(join(prefix, "lib/snapmill/left-over"), "");
      expect(install().exitCode).toBe(0);
      expect(existsSync(join(prefix, "lib/snapmill/left-over"))).toBe(false);
      expect(existsSync(join(dropIn, "local.conf"))).toBe(true);
      expect(run([program, "images"], env).stdout).toContain("image");
      up.kill("SIGTERM");
      expect(await up.exited).toBe(0);
      expect(processesOf(snapmill.directory)).toEqual([]);
      expect(run([program, "doctor"], env)).toMatchObject({ exitCode: 0 });

      expect(run([join(release, "install.sh"), "--prefix", prefix, "--uninstall"])).toMatchObject({ exitCode: 0 });
      expect(run(["find", prefix, units, "!", "-type", "d"]).stdout).toBe(`${join(dropIn, "local.conf")}\n`);
      expect(existsSync(snapmill.config.stateDir)).toBe(true);
    },
    timeoutMs,
  );

  test("is installed by a script with a help", () => {
    const help = run([join(release, "install.sh"), "--help"]);
    expect(help).toMatchObject({ exitCode: 0, stderr: "" });
    for (const option of ["--prefix", "--unit-dir", "--uninstall"]) expect(help.stdout).toContain(option);
    const slip = run([join(release, "install.sh"), "--prefx"]);
    expect(slip).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/--prefx is not known: see .* --help\n$/),
    });
  });

  test("names what the machine lacks, and shows its help all the same", () => {
    const bare = join(scratch.path, "bare");
    mkdirSync(bare);
    for (const name of ["bash", "readlink"]) symlinkSync(join("/bin", name), join(bare, name));
    // The launcher also looks where root's programs are: needs.sh is made to look nowhere else.
    const needs = join(release, "scripts/needs.sh");
    const text = readFileSync(needs, "utf8");
    writeFileSync(needs, text.replace(":/usr/local/sbin:/usr/sbin:/sbin", ""));
    try {
      const refused = run([join(release, "snapmill"), "up"], { PATH: bare });
      expect(refused.stderr).toBe(
        "snapmill: this machine lacks e2fsprogs xfsprogs util-linux mount: install what is missing, and try again\n",
      );
      expect(refused.exitCode).toBe(1);
      expect(run([join(release, "snapmill"), "--version"], { PATH: bare }).stdout).toBe(`${version}\n`);
    } finally {
      writeFileSync(needs, text);
    }
  });
});
