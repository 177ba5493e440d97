// Every command of the command line, with the real program and a running `up`.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomFillSync } from "node:crypto";
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeImage } from "../support/images.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { file } from "../support/tar-entries.ts";
import { describeTree, diffTrees, type Tree } from "../support/trees.ts";
import { until } from "../support/until.ts";
import { CliFixture } from "./cli-fixture.ts";

setDefaultTimeout(60_000);

const fixture = new CliFixture();
const directory = (name: string) => join(fixture.snapmill.directory, name);
let reference = "";
let expected: Tree = new Map();
let image = "";

beforeAll(async () => {
  ({ reference, expected } = await writeSmallImage(directory("image")));
  mkdirSync(directory("mnt"));
  await fixture.up();
  image = (await fixture.json("unpack", reference))[0]?.snapshot ?? "";
});
afterAll(() => fixture[Symbol.asyncDispose]());

const fieldsOf = (printed: object = {}): string[] => Object.keys(printed).toSorted();
/** A stopped writer keeps its layer half written. */
const tellWriters = (signal: NodeJS.Signals): void => {
  for (const pid of fixture.snapmill.pidsOf("workers/writer.ts")) process.kill(pid, signal);
};
/** As /proc/mounts has them. */
function mountOptionsOf(dir: string): string[] {
  const line = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .find((text) => text.split(" ")[1] === dir);
  return line?.split(" ")[3]?.split(",") ?? [];
}
const views = async () => (await fixture.json("ls", "kind==view")).map(({ key }) => key);

describe("unpack", () => {
  test("prints the promised fields, and finds the layers there when it is asked again", async () => {
    const [again, ...more] = await fixture.json("unpack", reference);
    expect(more).toEqual([]);
    expect(fieldsOf(again)).toEqual(["chainId", "image", "layers", "manifestDigest", "snapshot"]);
    expect(again).toMatchObject({ image: reference, chainId: image, snapshot: image });
    expect(again?.layers).toHaveLength(3);
    for (const layer of again?.layers ?? []) {
      expect(fieldsOf(layer)).toEqual(["bytes", "cached", "chainId", "compressedBytes", "diffId", "digest", "ms"]);
      expect(layer.cached).toBe(true);
      expect(layer.bytes).toBeGreaterThan(0);
    }
  });

  test("an image that fails does not stop the others; each failure is one line that names its image", async () => {
    const missing = `oci:${directory("missing")}`;
    const { exitCode, stdout, stderr } = await fixture.run("unpack", missing, reference, "--json");
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ snapshot: image });
    const sentences = stderr.split("\n").filter((line) => line.startsWith("snapmill: "));
    expect(sentences).toHaveLength(1);
    expect(sentences[0]).toContain(missing);
  });

  test("without a terminal, prints its progress and its result as text", async () => {
    const { stdout, stderr } = await fixture.run("unpack", reference);
    expect(stdout).toStartWith(`${reference}\n  snapshot  ${image}\n  layers    3: all cached\n`);
    expect(stderr).toContain(`${reference}: queued\n`);
    expect(`${stdout}${stderr}`).not.toContain("\u001b");
  });

  test("ended by Ctrl-C, is cancelled in the running snapmill too, and leaves nothing there", async () => {
    const content = [file("big", randomFillSync(Buffer.alloc(96 << 20)))];
    const big = await writeImage(directory("big"), [{ content, form: "none" }, { content: [file("small", "x")] }]);
    const before = await fixture.json("ls", "kind==committed");
    tellWriters("SIGSTOP");
    const unpack = fixture.snapmill.start(["unpack", big.reference]);
    const look = () => {
      // The other worker may have begun the layer, with a new writer.
      tellWriters("SIGSTOP");
      return fixture.snapmill.snapshots();
    };
    await until("a layer is half written", look, (snapshots) => snapshots.some(({ kind }) => kind === "active"));
    unpack.kill("SIGINT");
    const { exitCode, stdout, stderr } = await unpack.finished;
    tellWriters("SIGCONT");
    expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: "" });
    expect(stderr).toEndWith("snapmill: interrupted by SIGINT\n");
    expect(await fixture.json("ls", "kind==active")).toEqual([]);
    const [status] = await fixture.json("status");
    expect(status).toMatchObject({
      queues: { unpack: { waiting: 0, active: 0, delayed: 0 } },
      metadata: { pendingUnpacks: 0 },
    });
    expect(await fixture.json("ls", "kind==committed")).toEqual(before);
    expect(await fixture.json("images")).toHaveLength(1);
  });

  test("a reference that is none is a usage error that shows the forms", async () => {
    expect(await fixture.failure(2, "unpack", "docker-daemon:image:v1")).toContain("oci:DIR");
  });
});

describe("ls, stat, usage, mounts, images", () => {
  test("ls is a table of short digests; --full writes them out", async () => {
    const table = await fixture.stdout("ls");
    expect(table).toMatch(/^NAME +KIND +PARENT +CREATED +UPDATED\n/);
    expect(table).toContain(`\n${image.slice(0, 19)}  committed`);
    expect(table).not.toContain(image);
    expect(await fixture.stdout("ls", "--full")).toContain(image);
  });

  test("ls --json prints every field, of what a filter lets through", async () => {
    const all = await fixture.json("ls", "kind==committed");
    expect(all.length).toBeGreaterThanOrEqual(3);
    const [top, ...more] = await fixture.json("ls", `name==${image}`);
    expect(more).toEqual([]);
    const fields = ["createdAtMs", "key", "kind", "labels", "parent", "scope", "updatedAtMs"];
    expect(fieldsOf(top)).toEqual(fields);
    expect(all.filter(({ parent }) => parent === null).length).toBe(1);
  });

  test("the beginning of a digest names a snapshot, as long as it names only one", async () => {
    expect((await fixture.json("stat", image.slice(0, 19)))[0]?.key).toBe(image);
    expect(await fixture.failure(1, "stat", "sha256:0123456789ab")).toContain("sha256:0123456789ab");
    expect(await fixture.failure(1, "rm", image.slice(0, 19))).toContain(`give it in full, ${image}`);
    expect(await fixture.failure(1, "label", image.slice(0, 19), "a=b")).toContain(`give it in full, ${image}`);
  });

  test("stat shows labels; label sets one and takes it away, and leaves the others", async () => {
    expect(await fixture.stdout("label", image, "team=edge", "x=a=b")).toContain("team=edge, x=a=b");
    expect(await fixture.stdout("stat", image)).toContain("team=edge");
    const [snapshot] = await fixture.json("label", image, "team=");
    expect(snapshot?.labels).toMatchObject({ x: "a=b" });
    expect(snapshot?.labels).not.toHaveProperty("team");
    expect(await fixture.stdout("ls", "--labels", "labels.x")).toContain("x=a=b");
    await fixture.stdout("label", image, "x=", "__proto__=odd", "toString=too");
    expect(await fixture.stdout("ls", "--labels", 'labels."__proto__"==odd')).toContain("__proto__=odd");
    expect(await fixture.stdout("stat", image, "--json")).toContain('"__proto__":"odd"');
    expect(await fixture.stdout("label", image, "__proto__=", "toString=")).not.toContain("odd");
  });

  test("usage of a committed and of an active snapshot", async () => {
    expect((await fixture.json("usage", image))[0]?.sizeBytes).toBeGreaterThan(0);
    await fixture.stdout("prepare", "used");
    expect((await fixture.json("usage", "used"))[0]?.sizeBytes).toBeGreaterThan(0);
    expect(await fixture.stdout("usage", "used")).toMatch(/^Size {2}\d/);
    await fixture.stdout("rm", "used");
  });

  test("mounts of a committed snapshot are refused with the way out", async () => {
    expect(await fixture.failure(1, "mounts", image)).toContain("view");
  });

  test("images tells what was unpacked", async () => {
    expect(await fixture.json("images")).toMatchObject([{ image: reference, snapshot: image }]);
    expect(await fixture.stdout("images")).toContain(reference);
  });

  test("another scope sees none of it", async () => {
    expect(await fixture.json("ls", "--scope", "other")).toEqual([]);
  });

  test("a filter that cannot be understood is a usage error", async () => {
    expect(await fixture.failure(2, "ls", "kind===view")).toContain("operator");
  });
});

describe("prepare, view, commit, rm", () => {
  test("from an empty snapshot to a committed one and a child of it", async () => {
    const [mount] = await fixture.json("prepare", "build");
    expect(mount).toMatchObject({ type: "ext4", options: ["rw"] });
    expect(existsSync(mount?.source ?? "")).toBe(true);
    expect(await fixture.json("mounts", "build")).toEqual([mount ?? {}]);
    await fixture.stdout("commit", "made", "build", "--label", "by=hand");
    expect((await fixture.json("stat", "made"))[0]).toMatchObject({ kind: "committed", parent: null });
    const [view] = await fixture.json("view", "look", "made");
    expect(view?.options).toEqual(["ro"]);
    expect(await fixture.failure(1, "rm", "made")).toContain("look");
    await fixture.stdout("rm", "look", "made");
  });

  test("a parent may be named by the beginning of its digest", async () => {
    await fixture.stdout("prepare", "child", image.slice(0, 19));
    expect((await fixture.json("stat", "child"))[0]?.parent).toBe(image);
    await fixture.stdout("rm", "child");
  });

  test("rm goes on after a failure, and reports each", async () => {
    await fixture.stdout("prepare", "left");
    const { exitCode, stderr } = await fixture.run("rm", "missing", "left", "absent");
    expect(exitCode).toBe(1);
    expect(stderr.trimEnd().split("\n")).toHaveLength(2);
    expect(await fixture.json("ls", "name==left")).toEqual([]);
  });

  test("prepare says what is wrong with its key or parent", async () => {
    await fixture.stdout("prepare", "taken");
    expect(await fixture.failure(1, "prepare", "taken")).toContain("taken");
    expect(await fixture.failure(1, "prepare", "other", "missing")).toContain("missing");
    expect(await fixture.failure(1, "view", "other", "taken")).toContain("taken");
    await fixture.stdout("rm", "taken");
  });
});

describe("mount and umount", () => {
  test("an image is mounted read-only by a view, which goes with the mount", async () => {
    const dir = directory("mnt");
    await fixture.stdout("mount", image.slice(0, 19), dir);
    expect(diffTrees(expected, describeTree(dir))).toEqual([]);
    expect(() => writeFileSync(join(dir, "new"), "")).toThrow("EROFS");
    expect(await views()).toHaveLength(1);
    await fixture.stdout("umount", dir);
    expect(await views()).toEqual([]);
    expect(await fixture.failure(1, "umount", dir)).toContain("nothing is mounted");
  });

  test("an active snapshot is mounted to be written to, and stays", async () => {
    const dir = directory("mnt");
    await fixture.stdout("prepare", "work", image);
    await fixture.stdout("mount", "work", dir);
    writeFileSync(join(dir, "new"), "written");
    await fixture.stdout("umount", dir);
    await fixture.stdout("commit", "worked", "work");
    await fixture.stdout("mount", "worked", dir);
    expect(readFileSync(join(dir, "new"), "utf8")).toBe("written");
    await fixture.stdout("umount", dir);
    await fixture.stdout("rm", "worked");
  });

  test("a snapshot that is committed while it is mounted says where, and can be unmounted", async () => {
    const dir = directory("mnt");
    await fixture.stdout("prepare", "work", image);
    await fixture.stdout("mount", "work", dir);
    const { exitCode, stderr } = await fixture.run("commit", "worked", "work");
    expect(exitCode).toBe(0);
    expect(stderr).toContain(`work is still mounted on ${dir}`);
    await fixture.stdout("umount", dir);
    await fixture.stdout("rm", "worked");
    await fixture.stdout("cleanup");
  });

  test("a setuid program of a snapshot gives its user nothing, unless --suid asks for it", async () => {
    const [secret, dir] = [directory("secret"), directory("mnt")];
    writeFileSync(secret, "for root alone", { mode: 0o600 });
    // Below a directory that it can reach, as a user of the host would.
    const readByAnother = () => {
      const asAnother = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
      return Bun.spawnSync([...asAnother, "./cat", secret], { cwd: dir }).stdout.toString();
    };
    await fixture.stdout("prepare", "hostile", image);
    await fixture.stdout("mount", "hostile", dir);
    copyFileSync(Bun.which("cat") ?? "", join(dir, "cat"));
    chmodSync(join(dir, "cat"), 0o4755);
    expect(readByAnother()).toBe("");
    expect(mountOptionsOf(dir)).toEqual(expect.arrayContaining(["nosuid", "nodev"]));
    expect(mountOptionsOf(dir)).not.toContain("noexec");
    await fixture.stdout("umount", dir);

    const { exitCode, stderr } = await fixture.run("mount", "hostile", dir, "--suid", "--dev");
    expect(exitCode).toBe(0);
    expect(stderr.match(/^snapmill: warning: every user who can access .*$/gm)).toHaveLength(2);
    expect(readByAnother()).toBe("for root alone");
    await fixture.stdout("umount", dir);

    await fixture.stdout("commit", "hostile-too", "hostile");
    await fixture.stdout("mount", "hostile-too", dir);
    expect(readByAnother()).toBe("");
    expect(mountOptionsOf(dir)).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
    await fixture.stdout("umount", dir);
    await fixture.stdout("rm", "hostile-too");
  });

  test("a directory that another user could exchange for a link is refused", async () => {
    const [theirs, shared] = [directory("theirs"), directory("shared")];
    for (const parent of [theirs, shared]) mkdirSync(join(parent, "mnt"), { recursive: true });
    chownSync(theirs, 65_534, 65_534);
    chmodSync(shared, 0o777);
    expect(await fixture.failure(1, "mount", image, join(theirs, "mnt"))).toContain(`${theirs} belongs to user 65534`);
    expect(await fixture.failure(1, "mount", image, join(shared, "mnt"))).toContain(`${shared} can be written to by`);
    expect(await views()).toEqual([]);
  });

  test("where it cannot be mounted, no view is left", async () => {
    const dir = directory("mnt");
    expect(await fixture.failure(1, "mount", image, directory("nowhere"))).toContain("does not exist");
    expect(await fixture.failure(1, "mount", image, directory("image/index.json"))).toContain("not a directory");
    expect(await fixture.failure(1, "mount", "missing", dir)).toContain("missing");
    await fixture.stdout("mount", image, dir);
    expect(await fixture.failure(1, "mount", image, dir)).toContain("already");
    expect(await views()).toHaveLength(1);
    await fixture.stdout("umount", dir);
    expect(await views()).toEqual([]);
  });

  test("a mount that is in use is not taken away, and neither is its view", async () => {
    const dir = directory("mnt");
    await fixture.stdout("mount", image, dir);
    const user = Bun.spawn(["sleep", "60"], { cwd: dir });
    try {
      expect(await fixture.failure(1, "umount", dir)).toContain("in use");
      expect(await views()).toHaveLength(1);
    } finally {
      user.kill("SIGKILL");
      await user.exited;
    }
    await fixture.stdout("umount", dir);
    expect(await views()).toEqual([]);
  });

  test("what another process mounted stays mounted", async () => {
    const dir = directory("mnt");
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "none", dir]).exitCode).toBe(0);
    try {
      expect(await fixture.failure(1, "umount", dir)).toContain("is not a snapshot of pool default: use umount(8)");
    } finally {
      expect(Bun.spawnSync(["umount", dir]).exitCode).toBe(0);
    }
  });
});

describe("status", () => {
  test("tells what runs, what is queued and how full the pool is", async () => {
    const [status] = await fixture.json("status");
    expect(status).toMatchObject({
      stateDir: fixture.snapmill.config.stateDir,
      pool: "default",
      running: { kind: "up", pools: ["default"] },
      redis: { failure: null },
      queues: { pool: { waiting: 0, active: 0 }, unpack: { waiting: 0, active: 0 } },
      workers: { pool: 1, unpack: 2 },
      metadata: { driver: "reflink", pendingUnpacks: 0, snapshots: { active: 0, view: 0 } },
    });
    const { usedBytes, totalBytes } = status?.metadata?.space ?? { usedBytes: 0, totalBytes: 0 };
    expect(usedBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThan(usedBytes);
    expect(await fixture.stdout("status")).toMatch(/^Running +yes: process \d+ \(snapmill up/m);
  });

  test("a pool other than the running one is reported as such", async () => {
    expect(await fixture.failure(1, "prepare", "x", "--pool", "other")).toContain("serves pool default, not other");
  });
});

test("a second up names the one that runs", async () => {
  expect(await fixture.failure(1, "up")).toContain("runs for");
});
