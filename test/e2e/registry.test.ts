// Tests an unpack from a registry: the same tree as from files, and credentials that are stored nowhere.
import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { type SnapshotKey, snapshotKey } from "../../src/domain/identifiers.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/directories.ts";
import { answerWith, cutAt, type Fault, FaultyProxy } from "../support/faulty-proxy.ts";
import { writeLayout } from "../support/images.ts";
import { answers } from "../support/redis.ts";
import { Registry, registryPrograms } from "../support/registry.ts";
import { processesOf } from "../support/residue.ts";
import { type SmallImage, writeSmallImage } from "../support/small-image.ts";
import { file } from "../support/tar-entries.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { describeWith } from "../support/tools.ts";
import { describeTree, diffTrees } from "../support/trees.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);
const planted = "planted-password-4711";

describeWith(registryPrograms, "an image in a registry", () => {
  const resources = new AsyncDisposableStack();
  let directory: TemporaryDirectory;
  let registry: Registry;
  let proxy: FaultyProxy;
  let small: SmallImage;
  let authFile: string;
  /** Requests for the layer that both images of org/pair have, on other layers. */
  let sharedBlob: RegExp;

  beforeAll(async () => {
    directory = resources.use(await temporaryDirectory());
    small = await writeSmallImage(join(directory.path, "small"));
    const open = resources.use(await Registry.start(join(directory.path, "open")));
    await open.push(small.reference, "org/small:v1");
    const shared = { content: [file("shared", randomBytes(3 << 20))], form: "none" } as const;
    const base = { content: [file("base", "x")], form: "gzip" } as const;
    const built = await writeLayout(join(directory.path, "pair"), [
      { tag: "bare", image: { layers: [shared] } },
      { tag: "based", image: { layers: [base, shared] } },
    ]);
    for (const tag of ["bare", "based"]) await open.push(`oci:${built.directory}:${tag}`, `org/pair:${tag}`);
    sharedBlob = new RegExp(`/blobs/${String(built.images[0]?.layers[0]?.digest)}`);
    const htpasswd = join(directory.path, "htpasswd");
    await writeFile(htpasswd, `me:${await Bun.password.hash(planted, { algorithm: "bcrypt", cost: 4 })}\n`);
    const closed = await Registry.start(join(directory.path, "closed"), {
      storage: join(directory.path, "open"),
      htpasswd,
    });
    registry = resources.use(closed);
    proxy = resources.use(await FaultyProxy.start(`http://${registry.host}`));
    authFile = join(directory.path, "auth.json");
    const auth = { auth: btoa(`me:${planted}`) };
    await writeFile(authFile, JSON.stringify({ auths: { [registry.host]: auth, [proxy.host]: auth } }));
  });
  beforeEach(() => proxy.reset());
  afterAll(() => resources.disposeAsync());

  test("is unpacked while it is fetched, also when it is cut on the way", async () => {
    using snapmill = new TestSnapmill();
    const isSame = async (snapshot: SnapshotKey) =>
      await snapmill.inspect(snapshot, (root) => diffTrees(small.expected, describeTree(root)));
    proxy.plan(/\/blobs\//, cutAt(1000), 2);
    const reference = `docker://${proxy.host}/org/small:v1`;
    const args = ["unpack", "--json", "--plain-http", "--authfile", authFile, reference];
    const { exitCode, stdout, stderr } = await snapmill.run(args);
    if (exitCode !== 0) throw new Error(stderr);
    const image = JSON.parse(stdout);
    expect(image.image).toBe(reference);
    expect(image.layers.map(({ digest }: { digest: string }) => digest)).toEqual(
      small.layers.map(({ digest }) => digest),
    );
    expect(await isSame(snapshotKey(image.snapshot))).toEqual([]);
    // Once more, by its bare name: nothing but the manifest is fetched.
    proxy.reset();
    const again = await snapmill.run(["unpack", "--json", "--plain-http", "--authfile", authFile, reference.slice(9)]);
    expect(JSON.parse(again.stdout).layers.every(({ cached }: { cached: boolean }) => cached)).toBe(true);
    expect(proxy.asked(/\/blobs\//).length).toBe(1);
    expect(snapmill.residue()).toEqual([]);
  });

  test("is unpacked whole when its worker is killed in the middle of a blob, and nothing is left", async () => {
    using snapmill = new TestSnapmill();
    const args = ["unpack", "--json", "--plain-http", "--authfile", authFile, "--bandwidth", "2MB"];
    const run = snapmill.start([...args, `${proxy.host}/org/small:v1`]);
    // The first is the configuration.
    await until(
      "a layer is fetched",
      () => proxy.asked(/\/blobs\//).length,
      (count) => count > 1,
      60_000,
    );
    const workers = snapmill.pidsOf("workers/unpack.ts");
    expect(workers.length).toBe(1);
    for (const pid of workers) process.kill(pid, "SIGKILL");
    const { exitCode, stdout, stderr } = await run.finished;
    if (exitCode !== 0) throw new Error(stderr);
    const snapshot = snapshotKey(JSON.parse(stdout).snapshot);
    const differences = await snapmill.inspect(snapshot, (root) => diffTrees(small.expected, describeTree(root)));
    expect(differences).toEqual([]);
    expect(snapmill.residue()).toEqual([]);
  });

  const unpackPair = () => {
    const references = ["bare", "based"].map((tag) => `${proxy.host}/org/pair:${tag}`);
    return ["unpack", "--json", "--plain-http", "--authfile", authFile, "--bandwidth", "2MB", ...references];
  };
  const wholeFetches = () => proxy.asked(sharedBlob).filter(({ headers }) => headers["range"] === undefined).length;

  test("that shares a layer with another one on other layers has it fetched once, also when the worker is killed", async () => {
    using snapmill = new TestSnapmill();
    const run = snapmill.start([...unpackPair(), "--concurrency", "2"]);
    await until(
      "a blob is half fetched",
      () => bytesBelow(paths.blobs(snapmill.config)),
      (bytes) => bytes > 200_000,
      60_000,
    );
    for (const pid of snapmill.pidsOf("workers/unpack.ts")) process.kill(pid, "SIGKILL");
    const { exitCode, stdout, stderr } = await run.finished;
    if (exitCode !== 0) throw new Error(stderr);
    expect(stdout.trim().split("\n").length).toBe(2);
    expect(wholeFetches()).toBe(1);
    expect(bytesBelow(paths.blobs(snapmill.config))).toBe(0);
    expect(snapmill.residue()).toEqual([]);
  });

  test("that shares a layer with the image before it has it fetched with that one", async () => {
    using snapmill = new TestSnapmill();
    const { exitCode, stderr } = await snapmill.run([...unpackPair(), "--concurrency", "1"]);
    if (exitCode !== 0) throw new Error(stderr);
    expect(proxy.asked(sharedBlob).length).toBe(1);
    expect(bytesBelow(paths.blobs(snapmill.config))).toBe(0);
    expect(snapmill.residue()).toEqual([]);
  });

  test("is only looked at in a dry run, which says what it takes, and fails where it is not there or has no room", async () => {
    using snapmill = new TestSnapmill();
    await using _running = runningUp(snapmill);
    await until("Redis answers", () => answers(paths.redisSocket(snapmill.config)), Boolean, 60_000);
    const options = ["--plain-http", "--authfile", authFile, "--dry-run"];
    const dryRun = async (...rest: string[]) => {
      const { exitCode, stdout, stderr } = await snapmill.run(["unpack", ...options, ...rest]);
      return {
        exitCode,
        stderr,
        stdout,
        lines: rest.includes("--json")
          ? stdout
              .trim()
              .split("\n")
              .map((line) => JSON.parse(line))
          : [],
      };
    };
    const [bare, based] = ["bare", "based"].map((tag) => `${proxy.host}/org/pair:${tag}`) as [string, string];

    const first = await dryRun("--json", bare, based);
    if (first.exitCode !== 0) throw new Error(first.stderr);
    const [planned, other, { together, ...whole }] = first.lines;
    const sharedBytes = planned.compressedBytes;
    expect(planned).toMatchObject({ reference: `docker://${bare}`, layers: 1, heldLayers: 0, fetchBytes: sharedBytes });
    expect(other).toMatchObject({ reference: `docker://${based}`, layers: 2, heldLayers: 0 });
    // The blob that both have is fetched once, and unpacked on two chains.
    expect(together).toMatchObject({ layers: 3, fetchBytes: other.fetchBytes });
    expect(together.estimatedBytes).toBe(planned.estimatedBytes + other.estimatedBytes);
    expect(whole).toMatchObject({ failed: [], fits: true, expansion: { factor: 3, basis: "assumed" } });
    expect(proxy.asked(sharedBlob)).toEqual([]);

    const { exitCode } = await snapmill.run(["unpack", ...options.slice(0, -1), bare]);
    expect(exitCode).toBe(0);
    const again = await dryRun(bare, small.reference);
    expect([again.exitCode, again.stderr]).toEqual([0, ""]);
    expect(again.stdout).toMatch(/layers +1: all in the pool\n +fetch +0 B of 3\.0 MiB, 3\.0 MiB are in the pool/);
    expect(again.stdout).toMatch(/room +\S+ [MG]iB: they fit\n$/);

    const missing = await dryRun("--json", `${proxy.host}/org/pair:none`, bare);
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toMatch(/^snapmill: image docker:\S+: \S+ answered 404 for the manifest none of org\/pair/);
    expect(missing.lines[1].failed[0]).toMatchObject({
      reference: `docker://${proxy.host}/org/pair:none`,
      code: "not_found",
    });

    proxy.plan(/manifests\/based/, (socket, { body, headers }, request) => {
      const manifest = JSON.parse(body.toString());
      manifest.layers[0].size = 900 * 2 ** 30;
      const changed = { "content-type": String(headers["content-type"]), "docker-content-digest": "" };
      return answerWith({ status: 200, body: Buffer.from(JSON.stringify(manifest)), headers: changed })(
        socket,
        { status: 200, body, headers: {} },
        request,
      );
    });
    const large = await dryRun(based);
    expect(large.exitCode).toBe(1);
    expect(large.stdout).toMatch(
      /space +about 2\.9 TiB \(compressed layers × 3, assumed\)\n +room +\S+ [MG]iB: they do not fit\n$/,
    );
  });

  test("that cannot be had fails with the registry's own reason, and leaves nothing", async () => {
    using snapmill = new TestSnapmill({ SNAPMILL_REGISTRY_CONNECTIONS: "1" });
    const digest = String(small.layers[1]?.digest);
    proxy.plan(new RegExp(`blobs/${digest}`), (socket, answer, request) => {
      const body = Buffer.from(answer.body);
      body.fill(0x55, 100, 200);
      return answerWith({ body })(socket, answer, request);
    });
    const references = ["org/none:v1", "org/small:v1"].map((name) => `${proxy.host}/${name}`);
    const { exitCode, stderr } = await snapmill.run(["unpack", "--plain-http", "--authfile", authFile, ...references]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/answered 404 for the manifest v1 of org\/none: \w+/);
    const what = `sent other bytes .* for the blob ${digest} of org/small`;
    expect(stderr).toMatch(new RegExp(`layer 2 of 3 \\(${digest}\\): ${proxy.host} ${what}`));
    expect(snapmill.residue()).toEqual([]);
  });

  test("has its credentials looked up where it is unpacked: they are in no log, job, command line, key or file", async () => {
    using snapmill = new TestSnapmill({ SNAPMILL_LOG_LEVEL: "trace", SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0" });
    const up = snapmill.start(["up"]);
    await until("Redis answers", () => answers(paths.redisSocket(snapmill.config)), Boolean, 60_000);
    const wrong = join(directory.path, "wrong.json");
    await writeFile(
      wrong,
      JSON.stringify({ auths: { [proxy.host]: { username: "me", password: `${planted}-wrong` } } }),
    );
    const seen: string[] = [];
    let isOver = false;
    const watch = async () => {
      for (; !isOver; await Bun.sleep(20)) seen.push(...processesOf(snapmill.directory));
    };
    const watching = watch();
    const unpack = async (file: string, status: number, ...options: string[]) => {
      const references = ["small:v1", "pair:bare"].map((name) => `${proxy.host}/org/${name}`);
      const run = await snapmill.run(["unpack", "--plain-http", "--authfile", file, ...options, ...references]);
      expect(run.exitCode).toBe(status);
      seen.push(run.stdout, run.stderr);
    };
    for (const options of [["--dry-run"], []]) {
      await unpack(wrong, 1, ...options);
      proxy.plan(/manifests/, sayBack, 4);
      await unpack(authFile, 1, ...options);
      proxy.reset();
      await unpack(authFile, 0, ...options);
    }
    isOver = true;
    await watching;
    up.kill("SIGTERM");
    const { exitCode, stdout, stderr } = await up.finished;
    expect(exitCode).toBe(0);
    seen.push(stdout, stderr, ...filesBelow(snapmill.directory));
    const all = seen.join("\n");
    expect(all).toContain("org/small:v1");
    expect(all).toContain("answered 401");
    expect(all).toContain("you sent Basic [redacted]");
    // Redis' log of commands is among the files.
    expect(all).toContain("accept-unpack");
    expect(all).toContain("resolve");
    for (const secret of [planted, btoa(`me:${planted}`), btoa(`me:${planted}-wrong`)])
      expect(all.includes(secret)).toBe(false);
    expect(proxy.requests.some(({ headers }) => headers["authorization"] === `Basic ${btoa(`me:${planted}`)}`)).toBe(
      true,
    );
  });
});

/** Refuses a request that is signed in, and quotes what it was signed in with. */
const sayBack: Fault = (socket, answer, request) => {
  const { authorization } = request.headers;
  if (authorization === undefined) return answerWith({})(socket, answer, request);
  return answerWith({ status: 403, body: Buffer.from(`you sent ${authorization}`) })(socket, answer, request);
};

/** An `up`, until the end of its scope. */
function runningUp(snapmill: TestSnapmill): AsyncDisposable {
  const up = snapmill.start(["up"]);
  return {
    [Symbol.asyncDispose]: async () => {
      up.kill("SIGTERM");
      expect((await up.finished).exitCode).toBe(0);
    },
  };
}

/** In files below `directory`, which may not be there. */
function bytesBelow(directory: string): number {
  if (!existsSync(directory)) return 0;
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const found = names.map((name) => statSync(join(directory, name), { throwIfNoEntry: false }));
  return found.reduce((sum, file) => sum + (file?.isFile() === true ? file.size : 0), 0);
}

/** All that is in the files below `directory` but the pool's own. */
function filesBelow(directory: string): string[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).filter((path) => !path.endsWith(".img"));
  return paths.map((path) => readFileSync(path, "latin1"));
}
