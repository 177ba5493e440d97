// The command line without a running `up`: usage, reads, and unpacks that bring the services up themselves.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../src/config.ts";
import { countSnapshotsByKind } from "../../src/metadata/snapshots.ts";
import { storeIfAny } from "../../src/service/store.ts";
import { writeImage } from "../support/images.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { file } from "../support/tar-entries.ts";
import { until } from "../support/until.ts";
import { CliFixture } from "./cli-fixture.ts";

setDefaultTimeout(120_000);

const cli = join(import.meta.dir, "../../src/cli.ts");
const commands =
  "up status unpack images ls stat usage mounts mount umount prepare view commit rm label cleanup doctor resume removals".split(
    " ",
  );

describe("help", () => {
  test.each(commands)("of %s has examples", async (command) => {
    await using fixture = new CliFixture();
    const help = await fixture.stdout(command, "--help");
    expect(help).toContain(`Usage: snapmill ${command} `);
    expect(help).toContain(`\nExamples:\n  $ snapmill ${command}`);
    expect(help).toContain("--state-dir");
    expect(help).toContain("--pool");
  });

  test.each(["create", "grow", "reset", "status"])("of pool %s has examples", async (command) => {
    await using fixture = new CliFixture();
    const help = await fixture.stdout("pool", command, "--help");
    expect(help).toContain(`\nExamples:\n  $ snapmill pool ${command}`);
    expect(help).toContain("--state-dir");
  });

  test("of snapmill itself lists every command", async () => {
    await using fixture = new CliFixture();
    const help = await fixture.stdout("--help");
    for (const command of [...commands, "pool"]) expect(help).toMatch(new RegExp(`^  ${command} `, "m"));
    const group = (title: string) => help.split(`\n${title}:\n`)[1]?.split("\n\n")[0];
    expect(group("Check and repair")).toMatch(/^ {2}removals /m);
    expect(group("Shells")).toMatch(/^ {2}completion .*$/);
  });

  test("without a command, help is on stderr and it is a usage error", async () => {
    await using fixture = new CliFixture();
    const { exitCode, stdout, stderr } = await fixture.run();
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain("Usage: snapmill");
  });
});

describe("a wrong command line ends with status 2 and one line", () => {
  test.each([
    [["frob"], "unknown command 'frob'"],
    [["ls", "--jsn"], "unknown option '--jsn' (Did you mean --json?)"],
    [["stat"], "missing required argument 'name': see --help"],
    [["stat", "a", "b"], "too many arguments"],
    [["ls", "--pool", "Not A Pool"], "--pool: pool name"],
    [["ls", "--scope", ""], "--scope: scope"],
    [["label", "a", "b"], 'label "b" is not valid'],
    [["prepare", ""], "must not be empty"],
    [["up", "--size", "many"], "--size: size"],
    [["up", "--driver", "zfs"], "--driver:"],
    [["pool", "create"], "give the storage of the pool"],
    [["pool", "create", "--data", "/dev/a", "--metadata", "/dev/b", "--size", "1GiB"], "require --loopback"],
    [["pool", "create", "--loopback", "a", "--force", "--adopt"], "contradict each other"],
    [["pool", "create", "No Pool", "--loopback", "a"], "pool name"],
    [["pool", "create", "--when-full", "panic"], "--when-full:"],
    [["pool", "grow", "--data-size", "more"], "--data-size: size"],
    [["up", "--unpack-workers", "0"], "--unpack-workers:"],
    [["unpack", "docker-daemon:busybox:latest"], "unknown transport"],
    [["unpack", "oci:a", "--platform", "pdp11"], "--platform: platform"],
    [["unpack", "oci:a", "--concurrency", "1.5"], "--concurrency:"],
  ])("%j", async (args, words) => {
    await using fixture = new CliFixture();
    expect(await fixture.failure(2, ...args)).toContain(words);
  });
});

describe("where nothing was ever started", () => {
  test.each(["ls", "images", "stat x", "usage x", "mounts x"])("%s says that there is no pool yet", async (line) => {
    await using fixture = new CliFixture();
    expect(await fixture.failure(1, ...line.split(" "))).toContain("snapmill up");
  });

  test.each(["prepare a", "view a b", "commit a b", "rm a", "label a b=c"])(
    "%s says how to start one",
    async (line) => {
      await using fixture = new CliFixture();
      const { stateDir } = fixture.snapmill.config;
      expect(await fixture.failure(1, ...line.split(" "))).toContain(`snapmill up --state-dir ${stateDir}`);
    },
  );

  test("status says so", async () => {
    await using fixture = new CliFixture();
    expect(await fixture.json("status")).toMatchObject([{ running: null, redis: null, queues: null, metadata: null }]);
    expect(await fixture.stdout("status")).toMatch(/^Running +no$/m);
  });
});

describe("unpack", () => {
  test("brings up what it needs and takes it down; reads work afterwards, changes ask for up", async () => {
    await using fixture = new CliFixture();
    const { reference } = await writeSmallImage(join(fixture.snapmill.directory, "image"));
    const snapshot = (await fixture.json("unpack", reference))[0]?.snapshot ?? "";
    expect(fixture.snapmill.residue()).toEqual([]);
    expect((await fixture.json("stat", snapshot))[0]?.kind).toBe("committed");
    expect((await fixture.json("usage", snapshot))[0]?.sizeBytes).toBeGreaterThan(0);
    expect(await fixture.json("status")).toMatchObject([{ running: null, metadata: { space: null } }]);
    expect(await fixture.failure(1, "pool", "status")).toContain("uses the driver reflink: 'snapmill status' shows");
    expect(await fixture.failure(1, "mount", snapshot, fixture.snapmill.directory)).toContain("snapmill up");
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ended by %s exits with %d and leaves nothing", async (signal, status) => {
    await using fixture = new CliFixture();
    const layout = join(fixture.snapmill.directory, "image");
    const bytes = randomFillSync(Buffer.alloc(96 << 20));
    const { reference } = await writeImage(layout, [{ content: [file("big", bytes)], form: "none" }]);
    const unpack = fixture.snapmill.start(["unpack", reference]);
    await until("a snapshot is active", () => hasActiveSnapshot(fixture.snapmill.config), Boolean, 60_000);
    unpack.kill(signal);
    const { exitCode, stdout, stderr } = await unpack.finished;
    expect({ exitCode, stdout }).toEqual({ exitCode: status, stdout: "" });
    expect(stderr).toEndWith(`snapmill: interrupted by ${signal}\n`);
    expect(fixture.snapmill.residue()).toEqual([]);
    // The next command does not resume a cancelled unpack; a layer that was committed just before may be there.
    const before = await fixture.json("ls");
    await fixture.up();
    // Answered once the pool's worker has completed its start.
    await fixture.stdout("prepare", "one");
    await fixture.stdout("rm", "one");
    expect(await fixture.json("ls")).toEqual(before);
    expect(await fixture.json("status")).toMatchObject([{ queues: { unpack: { waiting: 0, active: 0, delayed: 0 } } }]);
  });
});

/** Read from the database: a layer may take less time than the start of a command. */
function hasActiveSnapshot(config: Config): boolean {
  using database = storeIfAny(config);
  return database !== undefined && countSnapshotsByKind(database).active > 0;
}

test("a batch whose command is interrupted waits for the next snapmill; what shows and watches it says so", async () => {
  await using fixture = new CliFixture();
  const layout = join(fixture.snapmill.directory, "image");
  const { reference } = await writeImage(layout, [
    { content: [file("big", randomFillSync(Buffer.alloc(96 << 20)))], form: "none" },
  ]);
  const list = join(fixture.snapmill.directory, "list");
  writeFileSync(list, reference);
  const submitted = fixture.snapmill.start(["batch", "submit", "--wait", list]);
  await until("a snapshot is active", () => hasActiveSnapshot(fixture.snapmill.config), Boolean, 60_000);
  submitted.kill("SIGINT");
  const { exitCode, stdout, stderr } = await submitted.finished;
  const [id = ""] = stdout.split("\n");
  expect(exitCode).toBe(130);
  expect(stderr).toContain(`batch ${id} waits until a snapmill runs again ('snapmill up')`);
  const waits = `batch ${id} waits: no snapmill runs for`;
  expect((await fixture.run("batch", "show", id)).stderr).toContain(waits);
  const watching = fixture.snapmill.start(["batch", "show", "--watch", id]);
  await until("the watching command says that nothing runs", watching.said, (said) => said.includes(waits), 30_000);
  await fixture.up();
  expect((await watching.finished).exitCode).toBe(0);
  expect((await fixture.run("batch", "show", id)).stderr).toBe("");
});

test("a reader that goes away ends a listing without an error message", async () => {
  await using fixture = new CliFixture();
  const { reference } = await writeSmallImage(join(fixture.snapmill.directory, "image"));
  await fixture.stdout("unpack", reference);
  const listing = `"$0" "$1" ls --json --state-dir "$2" | true; echo "\${PIPESTATUS[0]}"`;
  const shell = Bun.spawnSync(["bash", "-c", listing, process.execPath, cli, fixture.snapmill.config.stateDir]);
  expect(shell.stderr.toString()).toBe("");
  expect(["0", "141"]).toContain(shell.stdout.toString().trim());
});
