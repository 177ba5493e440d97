// Room: test. Owns the launcher: `snapmill` as a command, from a checkout, through links, under a service manager.
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../package.json";
import { childEnvironment } from "../../src/config.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { processesOf } from "../support/residue.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";

const root = join(import.meta.dir, "../..");
const launcher = join(root, "snapmill");

function run(argv: readonly string[], cwd: string) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { cwd });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** How many processes a command starts, besides the one that it is. */
function processesStartedBy(argv: readonly string[], directory: string): number {
  const trace = join(directory, "trace");
  const traced = run(["strace", "-f", "-o", trace, "-e", "trace=clone,clone3,fork,vfork", ...argv], "/");
  expect(traced.exitCode).toBe(0);
  const calls = readFileSync(trace, "utf8").split("\n");
  return calls.filter((line) => /\b(clone3?|v?fork)\(/.test(line) && !line.includes("CLONE_THREAD")).length;
}

test("it runs from any directory, and through any link, and keeps output and exit status", async () => {
  await using scratch = await temporaryDirectory();
  const links = [join(scratch.path, "bin/snapmill"), join(scratch.path, "node_modules/.bin/snapmill")];
  mkdirSync(join(scratch.path, "bin"));
  mkdirSync(join(scratch.path, "node_modules/.bin"), { recursive: true });
  symlinkSync(root, join(scratch.path, "node_modules/snapmill"));
  symlinkSync(launcher, links[0] ?? "");
  symlinkSync("../snapmill/snapmill", links[1] ?? "");
  for (const path of [launcher, ...links]) {
    expect(run([path, "--version"], scratch.path)).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
  }
  expect(run(["bin/snapmill", "--version"], scratch.path).stdout).toBe(`${version}\n`);
  const refused = run([launcher, "ls", "--state-dir", "nothing-here"], scratch.path);
  expect({ ...refused, stderr: "" }).toEqual({ exitCode: 1, stdout: "", stderr: "" });
  expect(refused.stderr).toContain(join(scratch.path, "nothing-here"));
});

test("it starts no process of its own, and through a link one to read that", async () => {
  await using scratch = await temporaryDirectory();
  const link = join(scratch.path, "snapmill");
  symlinkSync(launcher, link);
  const programs = processesStartedBy([process.execPath, join(root, "src/cli.ts"), "--version"], scratch.path);
  expect(processesStartedBy([launcher, "--version"], scratch.path) - programs).toBe(0);
  expect(processesStartedBy([link, "--version"], scratch.path) - programs).toBe(1);
});

test("what lies in the directory that it is called in is not obeyed", async () => {
  await using scratch = await temporaryDirectory();
  writeFileSync(
    join(scratch.path, "planted.ts"),
    `await Bun.write(${JSON.stringify(join(scratch.path, "done"))}, "x");`,
  );
  writeFileSync(join(scratch.path, "bunfig.toml"), 'preload = ["./planted.ts"]\n');
  writeFileSync(join(scratch.path, ".env"), "SNAPMILL_LOG_LEVEL=planted\n");
  const { stderr } = run([launcher, "ls", "--state-dir", "nothing-here"], scratch.path);
  expect(stderr).toContain("there is no pool here yet");
  expect(readdirSync(scratch.path)).not.toContain("done");
  // By bun alone it is: the launcher is what prevents it.
  const { BUN_OPTIONS: _, ...environment } = childEnvironment({});
  const program = [process.execPath, join(root, "src/cli.ts"), "ls"];
  const bare = Bun.spawnSync(program, { cwd: scratch.path, env: environment });
  expect(readdirSync(scratch.path)).toContain("done");
  expect(bare.stderr.toString()).toContain("SNAPMILL_LOG_LEVEL");
});

test("the lock of a set-up is its user's alone, also where an older one had made it for all to open", async () => {
  await using scratch = await temporaryDirectory();
  const lock = join(scratch.path, "lock");
  writeFileSync(lock, "", { mode: 0o644 });
  const script =
    '. scripts/packages.sh; lock_tools; flock --nonblock "$tools/lock" true || stat --format=%a "$tools/lock"';
  const { stdout } = Bun.spawnSync(["bash", "-euc", script], {
    cwd: root,
    env: { ...childEnvironment({}), tools: scratch.path, log: join(scratch.path, "log") },
  });
  expect(stdout.toString()).toBe("600\n");
});

test("a SIGTERM to its process ends a running `up` in order", async () => {
  using snapmill = new TestSnapmill({ SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0", SNAPMILL_UNPACK_WORKERS: "1" });
  const { REDIS_URL: _, ...inherited } = childEnvironment({});
  const up = Bun.spawn([launcher, "up", "--state-dir", "state"], {
    cwd: snapmill.directory,
    env: { ...inherited, ...snapmill.settings },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [first] = await Array.fromAsync(firstChunkOf(up.stdout));
  expect(first).toContain("snapmill is ready");
  expect(readlinkSync(`/proc/${up.pid}/exe`)).toBe(readlinkSync("/proc/self/exe"));
  expect(processesOf(snapmill.directory).length).toBeGreaterThan(3);
  up.kill("SIGTERM");
  await up.exited;
  expect({ code: up.exitCode, signal: up.signalCode }).toEqual({ code: 0, signal: null });
  expect(snapmill.residue()).toEqual([]);
});

async function* firstChunkOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  for await (const chunk of stream) {
    yield new TextDecoder().decode(chunk);
    return;
  }
}
