// Tests a batch from a registry on the command line: 4 of its images cannot be had, and it ends the same way when its
// processes are killed. SNAPMILL_TEST_IMAGES=200 SNAPMILL_TEST_KILLS=10: more of both.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TemporaryDirectory, temporaryDirectory } from "../support/directories.ts";
import {
  corrupt,
  type ManyImages,
  pushImage,
  pushLargeLayer,
  pushLayer,
  pushManyImages,
} from "../support/many-images.ts";
import { randomOf, seedOf } from "../support/random.ts";
import { Registry, registryPrograms } from "../support/registry.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { describeWith } from "../support/tools.ts";
import { type BatchJson, BatchRun } from "./batch-run.ts";

setDefaultTimeout(600_000);

const password = "planted-password-4712";
const wrongPassword = "planted-password-4713";
const seed = seedOf(Bun.env["SNAPMILL_TEST_SEED"]);
const wholeCount = Number(Bun.env["SNAPMILL_TEST_IMAGES"] ?? 80);
const killedCount = Number(Bun.env["SNAPMILL_TEST_IMAGES"] ?? 40);
const kills = Number(Bun.env["SNAPMILL_TEST_KILLS"] ?? 4);
console.log(`batches: seed ${seed} (SNAPMILL_TEST_SEED=${seed} repeats the kills)`);

/** Less than the large layer has. */
const settings = { SNAPMILL_POOL_SIZE: "512MiB", SNAPMILL_DEVICE_SIZE: "1GiB", SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0" };
const largeMebibytes = 700;

describeWith(registryPrograms, "a batch of images of which four cannot be had", () => {
  const resources = new AsyncDisposableStack();
  let directory: TemporaryDirectory;
  let images: ManyImages;
  let authFile: string;
  /** The four, by what is wrong with each. */
  let bad: Readonly<Record<"corrupted" | "missing" | "closed" | "large", string>>;

  beforeAll(async () => {
    directory = resources.use(await temporaryDirectory());
    const htpasswd = join(directory.path, "htpasswd");
    writeFileSync(htpasswd, `me:${await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 })}\n`);
    const storage = join(directory.path, "registry");
    const registry = resources.use(await Registry.start(storage, { htpasswd }));
    const authOf = (secret: string) => btoa(`me:${secret}`);
    const open = { host: registry.host, name: "batch/app", authorization: `Basic ${authOf(password)}` };
    const closed = { ...open, name: "closed/app" };
    images = await pushManyImages(open, Math.max(wholeCount, killedCount));
    const damaged = await pushLayer(open, ["damaged/one"]);
    const base = images.sharedLayers.slice(0, 1);
    bad = {
      corrupted: await pushImage(open, "corrupted", [...base, damaged]),
      missing: `${registry.host}/batch/app:missing`,
      closed: await pushImage(closed, "v1", [await pushLayer(closed, ["closed/one"])]),
      large: await pushImage(open, "large", [...base, await pushLargeLayer(open, largeMebibytes)]),
    };
    corrupt(storage, damaged);
    authFile = join(directory.path, "auth.json");
    // The longest path that fits counts.
    const auths = {
      [registry.host]: { auth: authOf(password) },
      [`${registry.host}/closed`]: { auth: authOf(wrongPassword) },
    };
    writeFileSync(authFile, JSON.stringify({ auths }));
  });
  afterAll(() => resources.disposeAsync());

  /** A list of `count` images, the bad ones spread over it. */
  function listOf(count: number): string {
    const references = images.references.slice(0, count - 4);
    for (const [index, reference] of Object.values(bad).entries())
      references.splice(Math.floor(((index + 1) * count) / 6), 0, reference);
    const path = join(directory.path, `list-${count}.txt`);
    writeFileSync(path, `# ${count} images\n${references.join("\n")}\n`);
    return path;
  }

  function expectEnd({ state, counts, items }: BatchJson, count: number): void {
    const ended = { pending: 0, running: 0, done: count - 4, present: 0, failed: 4, cancelled: 0 };
    expect({ state, counts }).toEqual({ state: "failed", counts: ended });
    const failures = items.filter((item) => item.state === "failed");
    const of = (reference: string) => failures.find((item) => item.reference === `docker://${reference}`)?.failure;
    expect(of(bad.corrupted)).toMatchObject({ code: "failed_precondition", stage: "fetch" });
    expect(of(bad.corrupted)?.message).toContain("other bytes");
    expect(of(bad.missing)).toMatchObject({ code: "not_found", stage: "resolve" });
    expect(of(bad.missing)?.message).toContain("answered 404 for the manifest missing of batch/app");
    expect(of(bad.closed)).toMatchObject({ code: "failed_precondition", stage: "resolve" });
    expect(of(bad.closed)?.message).toContain("answered 401");
    expect(of(bad.large)).toMatchObject({ code: "resource_exhausted", stage: "unpack" });
    expect(of(bad.large)?.message).toContain("must stay free");
  }

  const secrets = [password, wrongPassword].flatMap((secret) => [secret, btoa(`me:${secret}`)]);

  test("ends with all others done and these named with stage and reason; when all is removed, the pool is as before", async () => {
    using snapmill = new TestSnapmill(settings);
    await using run = await BatchRun.start(snapmill, { authFile });
    // The pool has its template after that.
    await run.output("unpack", ...run.options, images.references.at(-1) as string);
    const before = await run.measure();
    const { exitCode, stdout } = await run.command("batch", "submit", "--wait", ...run.options, listOf(wholeCount));
    expect(exitCode).toBe(1);
    const id = /^(b-\w+)\n/.exec(stdout)?.[1] ?? "";
    expectEnd(await run.show(id), wholeCount);
    await run.removeAll(id);
    const after = await run.measure();
    expect(after.held).toEqual(before.held);
    // The file system under the pool keeps a little of its own.
    expect(after.usedBytes).toBeLessThan(before.usedBytes + (1 << 20));
    await run.end();
    expect(run.found(secrets)).toEqual([]);
    expect(snapmill.residue()).toEqual([]);
  });

  test(`ends the same way when its processes are killed at random moments and Redis is emptied (seed ${seed})`, async () => {
    using snapmill = new TestSnapmill(settings);
    await using run = await BatchRun.start(snapmill, { authFile });
    const id = (await run.output("unpack", "--detach", ...run.options, "--from", listOf(killedCount))).trim();
    await run.killWhile(id, { kills, count: killedCount, random: randomOf(seed) });
    expectEnd(await run.show(id), killedCount);
    expect(snapmill.snapshots().length).toBe(killedCount - 4 + images.sharedLayers.length);
    const list = join(directory.path, "again.txt");
    writeFileSync(list, images.references.slice(0, 2).join("\n"));
    const again = JSON.parse(await run.output("unpack", "--json", ...run.options, "--from", list));
    expect(again).toMatchObject({ state: "done", counts: { present: 2 } });
    await run.end();
    expect(run.found(secrets)).toEqual([]);
    expect(snapmill.residue()).toEqual([]);
  });
});
