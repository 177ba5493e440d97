import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/directories.ts";
import { answerWith, cutAt, FaultyProxy } from "../../support/faulty-proxy.ts";
import { type BuiltLayer, writeLayout } from "../../support/images.ts";
import { Registry, registryPrograms } from "../../support/registry.ts";
import { file } from "../../support/tar-entries.ts";
import { describeWith } from "../../support/tools.ts";
import { failureOf, Progress, readBlob, repositoryOf } from "./fixture.ts";

const blobs = /\/blobs\//;

/** A registry that can only be reached through its mirrors, and its own host behind a proxy. */
describeWith(registryPrograms, "of a registry with mirrors", () => {
  const resources = new AsyncDisposableStack();
  let directory: TemporaryDirectory;
  let mirror: FaultyProxy;
  let origin: FaultyProxy;
  let layer: BuiltLayer;
  let certsDir: string;

  beforeAll(async () => {
    directory = resources.use(await temporaryDirectory());
    const registry = resources.use(await Registry.start(join(directory.path, "registry")));
    const layout = await writeLayout(join(directory.path, "layout"), [
      { tag: "v1", image: { layers: [{ content: [file("content", "x".repeat(50_000))], form: "none" }] } },
    ]);
    await registry.push(`oci:${layout.directory}:v1`, "org/app:v1");
    layer = layout.images[0]?.layers[0] as BuiltLayer;
    mirror = resources.use(await FaultyProxy.start(`http://${registry.host}`));
    origin = resources.use(await FaultyProxy.start(`http://${registry.host}`));
    certsDir = join(directory.path, "certs.d");
    await mkdir(join(certsDir, "r.example"), { recursive: true });
    const toml = `server = "http://${origin.host}"
[host."http://127.0.0.1:1"]
[host."http://${mirror.host}"]
  capabilities = ["pull"]
  [host."http://${mirror.host}".header]
    x-mirror = "yes"
`;
    await writeFile(join(certsDir, "r.example", "hosts.toml"), toml);
  });
  beforeEach(() => {
    mirror.reset();
    origin.reset();
  });
  afterAll(() => resources.disposeAsync());

  const repository = () => repositoryOf({ registry: "r.example", repository: "org/app", certsDirs: [certsDir] });
  const read = async (progress = new Progress()) => {
    const blob = { digest: layer.digest, sizeBytes: layer.blobBytes };
    return (await readBlob(await repository(), blob, {}, { progress })).length;
  };

  test("a blob comes from the first mirror that has it, which is told its registry", async () => {
    expect(await read()).toBe(layer.blobBytes);
    expect(mirror.asked(blobs).map(({ path, headers }) => [path, headers["x-mirror"]])).toEqual([
      [`/v2/org/app/blobs/${layer.digest}?ns=r.example`, "yes"],
    ]);
    expect(origin.requests).toEqual([]);
  });

  test.each([404, 401, 429, 500])("a mirror that answers %p is passed over at once", async (status) => {
    mirror.plan(blobs, answerWith({ status, headers: { "retry-after": "3600" }, body: Buffer.of() }), 99);
    expect(await read()).toBe(layer.blobBytes);
    expect([mirror.asked(blobs).length, origin.asked(blobs).length]).toEqual([1, 1]);
    expect(origin.asked(blobs)[0]?.headers["x-mirror"]).toBeUndefined();
  });

  test("the next goes on where a mirror was cut", async () => {
    const progress = new Progress();
    mirror.plan(
      blobs,
      cutAt(20_000, () => progress.reached(20_000)),
      99,
    );
    expect(await read(progress)).toBe(layer.blobBytes);
    expect(origin.asked(blobs).map(({ headers }) => headers["range"])).toEqual(["bytes=20000-"]);
  });

  test("the registry's own answer counts in the end, with the mirrors' behind it", async () => {
    const body = Buffer.from("{}");
    mirror.plan(blobs, answerWith({ status: 404, body }), 99);
    origin.plan(blobs, answerWith({ status: 403, body }), 99);
    const { code, message } = await failureOf(read());
    expect(code).toBe("failed_precondition");
    expect(message).toStartWith(`${origin.host} answered 403`);
    expect(message).toContain("127.0.0.1:1 gave no whole answer");
    expect(message).toContain(`${mirror.host} answered 404`);
  });

  test("only a host that may resolve is asked what a tag means", async () => {
    const found = await repository();
    expect(found.hostsThat("resolve").map(({ name }) => name)).toEqual(["127.0.0.1:1", origin.host]);
    expect(found.hostsThat("pull").length).toBe(3);
  });
});
