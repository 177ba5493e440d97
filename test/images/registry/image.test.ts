import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { AbortReason, Canceller } from "../../../src/domain/cancellation.ts";
import { isRemote } from "../../../src/images/image.ts";
import type { BlobStoreSettings } from "../../../src/images/registry/blob-store.ts";
import { Registries } from "../../../src/images/registry/registries.ts";
import { openImage } from "../../../src/images/resolve.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/directories.ts";
import { answerWith, FaultyProxy } from "../../support/faulty-proxy.ts";
import { type BuiltLayout, mediaTypes, sha256, writeLayout } from "../../support/images.ts";
import { Registry, registryPrograms } from "../../support/registry.ts";
import { file } from "../../support/tar-entries.ts";
import { describeWith } from "../../support/tools.ts";
import { until } from "../../support/until.ts";
import { failureOf, impatient } from "./fixture.ts";

const layer = (text: string) => ({ content: [file("content", text)] });
/** More than a worker keeps in memory. */
const shared = { content: [file("shared", randomBytes(2 << 20))], form: "none" } as const;
const platforms = ["linux/arm/v6", "linux/arm/v7", "linux/amd64"] as const;

describeWith(registryPrograms, "an image in a registry", () => {
  const resources = new AsyncDisposableStack();
  let directory: TemporaryDirectory;
  let registry: Registry;
  let proxy: FaultyProxy;
  let layout: BuiltLayout;
  let registries: Registries;

  beforeAll(async () => {
    directory = resources.use(await temporaryDirectory());
    registry = resources.use(await Registry.start(join(directory.path, "registry")));
    proxy = resources.use(await FaultyProxy.start(`http://${registry.host}`));
    layout = await writeLayout(join(directory.path, "layout"), [
      { tag: "one", image: { platform: "linux/amd64", layers: [layer("a"), { ...layer("b"), form: "zstd" }] } },
      { tag: "docker", image: { platform: "linux/amd64", layers: [layer("c")] } },
      { tag: "many", image: platforms.map((platform) => ({ platform, layers: [layer(platform)] })) },
      {
        tag: "foreign",
        image: {
          platform: "linux/amd64",
          layers: [{ ...layer("d"), mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" }],
        },
      },
      { tag: "bare", image: { platform: "linux/amd64", layers: [shared] } },
      { tag: "based", image: { platform: "linux/amd64", layers: [layer("a"), shared] } },
    ]);
    for (const tag of ["bare", "based"]) await registry.push(`oci:${layout.directory}:${tag}`, `org/app:${tag}`);
    await registry.push(`oci:${layout.directory}:one`, "org/app:one");
    await registry.push(`oci:${layout.directory}:docker`, "org/app:docker", ["--format", "v2s2"]);
    await registry.push(`oci:${layout.directory}:many`, "org/app:many", ["--preserve-digests", "--all"]);
  });
  const settings = () => ({
    certsDirs: [],
    credentials: { inline: undefined, files: [] },
    connections: 4,
    slotsDir: join(directory.path, "slots"),
    patience: impatient,
  });
  beforeEach(() => {
    proxy.reset();
    registries = new Registries(settings());
  });
  afterAll(() => resources.disposeAsync());

  const open = (name: string, platform = "linux/amd64", signal?: AbortSignal, authFile?: string) =>
    openImage(`docker://${proxy.host}/${name}`, platform, {
      registries,
      registry: { plainHttp: true, authFile },
      signal,
    });
  const manifests = /\/manifests\//;
  const json = (value: unknown, headers: Record<string, string> = {}) => {
    const body = Buffer.from(JSON.stringify(value));
    return answerWith({
      status: 200,
      body,
      headers: { "docker-content-digest": sha256(body), "content-type": "", ...headers },
    });
  };

  test.each(["one", "docker"])("is resolved by its tag (%s), with layers that can be fetched", async (tag) => {
    const built = layout.images[tag === "one" ? 0 : 1];
    await using image = await open(`org/app:${tag}`);
    expect(image.reference).toBe(`docker://${proxy.host}/org/app:${tag}`);
    expect(image.platform).toBe("linux/amd64");
    if (tag === "one") expect(String(image.manifestDigest)).toBe(built?.manifest.digest ?? "");
    expect(image.layers.map(({ digest, diffId }) => [String(digest), String(diffId)])).toEqual(
      built?.layers.map(({ digest, diffId }) => [digest, diffId]) ?? [],
    );
    for (const { digest, blob } of image.layers) {
      if (!isRemote(blob)) throw new Error("a layer lies in a file");
      const bytes = await Array.fromAsync(blob.open(0));
      expect(sha256(Buffer.concat(bytes))).toBe(String(digest));
    }
    expect(proxy.asked(/\/blobs\//).length).toBe(1 + image.layers.length);
  });

  test("is resolved by its digest, whatever its tag says", async () => {
    const { digest } = layout.images[0]?.manifest ?? { digest: "" };
    await using image = await open(`org/app:docker@${digest}`);
    expect(String(image.manifestDigest)).toBe(digest);
    expect(image.reference).toEndWith(`/org/app:docker@${digest}`);
    expect(image.resolvedDigest).toBeUndefined();
  });

  test.each([
    ["linux/arm/v7", 3],
    ["linux/arm/v8", 3],
    ["linux/arm/v6", 2],
    ["linux/amd64", 4],
  ])("for many platforms is the one that fits %s best", async (platform, index) => {
    await using image = await open("org/app:many", platform);
    expect(String(image.manifestDigest)).toBe(layout.images[index]?.manifest.digest ?? "");
    expect(image.resolvedDigest).toMatch(/^sha256:/);
    expect(image.resolvedDigest).not.toBe(image.manifestDigest);
    expect(proxy.asked(manifests).length).toBe(2);
  });

  test("is not taken for another platform, nor for an attestation", async () => {
    const message = (name: string, platform: string) => failureOf(open(name, platform));
    expect(await message("org/app:many", "linux/s390x")).toMatchObject({
      code: "not_found",
      message: expect.stringMatching(
        /not for linux\/s390x; pass --platform with one of: linux\/arm\/v6, linux\/arm\/v7, linux\/amd64$/,
      ),
    });
    expect(await message("org/app:one", "linux/arm64")).toMatchObject({ code: "not_found" });
    const { manifest } = layout.images[0] ?? {};
    const attestation = {
      ...manifest,
      platform: { os: "unknown", architecture: "unknown" },
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    };
    proxy.plan(manifests, json({ schemaVersion: 2, mediaType: mediaTypes.oci.index, manifests: [attestation] }));
    expect((await message("org/app:many", "linux/amd64")).message).toContain("its index holds no container image");
  });

  test("with small layers that were fetched before has them fetched no more, whatever they lie on", async () => {
    const fetchAll = async (name: string) => {
      await using image = await open(name);
      for (const { digest, blob } of image.layers) {
        if (!isRemote(blob)) throw new Error("a layer lies in a file");
        expect(sha256(Buffer.concat(await Array.fromAsync(blob.open(0))))).toBe(String(digest));
      }
      return image.layers.map(({ digest }) => digest);
    };
    const digests = await fetchAll("org/app:one");
    expect(await fetchAll("org/app:one")).toEqual(digests);
    for (const digest of digests) expect(proxy.asked(new RegExp(`blobs/${digest}`)).length).toBe(1);
  });

  describe("with a blob that another image has on other layers is fetched with that one once", () => {
    /** As an unpack worker of its own fetches all layers of `name`. */
    async function fetchAsWorker(name: string, blobs: BlobStoreSettings | undefined): Promise<void> {
      const worker = new Registries({ ...settings(), blobs });
      const registry = { plainHttp: true, group: "batch" };
      await using image = await openImage(`docker://${proxy.host}/${name}`, "linux/amd64", {
        registries: worker,
        registry,
      });
      for (const { digest, blob } of image.layers) {
        if (!isRemote(blob)) throw new Error("a layer lies in a file");
        expect(sha256(Buffer.concat(await Array.fromAsync(blob.open(0))))).toBe(String(digest));
      }
    }
    const asked = () => proxy.asked(new RegExp(`blobs/${String(layout.images[6]?.layers[0]?.digest)}`)).length;
    const blobsIn = (name: string, maxBytes = 64 << 20) => ({
      directory: join(directory.path, name),
      maxBytes,
      othersWait: () => false,
    });

    test("by two workers at the same time", async () => {
      const blobs = blobsIn("parallel");
      await Promise.all([fetchAsWorker("org/app:bare", blobs), fetchAsWorker("org/app:based", blobs)]);
      expect(asked()).toBe(1);
    });

    test("by one after the other, and twice when no blobs are kept", async () => {
      for (const name of ["org/app:bare", "org/app:based"]) await fetchAsWorker(name, blobsIn("later"));
      expect(asked()).toBe(1);
      for (const name of ["org/app:bare", "org/app:based"]) await fetchAsWorker(name, blobsIn("none", 0));
      expect(asked()).toBe(3);
    });
  });

  describe("is refused with a reason,", () => {
    const refused: readonly (readonly [title: string, value: unknown, why: RegExp])[] = [
      ["schema 1", { schemaVersion: 1, name: "a", fsLayers: [] }, /schema 1, which is not supported/],
      [
        "an unknown media type",
        { schemaVersion: 2, mediaType: "text/x" },
        /media type "?text\/x"?.*only OCI manifests/,
      ],
      [
        "an artifact",
        {
          schemaVersion: 2,
          mediaType: mediaTypes.oci.manifest,
          config: { mediaType: "application/vnd.oci.empty.v1+json", digest: sha256(Buffer.from("{}")), size: 2 },
          layers: [],
        },
        /it is no container image: its configuration is/,
      ],
      [
        "both an index and a manifest",
        { schemaVersion: 2, mediaType: mediaTypes.oci.index, manifests: [], config: {}, layers: [] },
        /both an index and a manifest/,
      ],
      ["no document at all", "text", /media type|not what it should be/],
    ];
    test.each(refused)("%s", async (_title, value, why) => {
      proxy.plan(manifests, json(value));
      const failure = await failureOf(open("org/app:one"));
      expect(failure.message).toMatch(why);
      expect(failure.message).toStartWith(`image docker://${proxy.host}/org/app:one: `);
      expect(failure.code).toBe("failed_precondition");
    });

    test("foreign layers", async () => {
      const { manifest, config, layers } = layout.images[5] ?? {};
      const [built] = layers ?? [];
      const foreign = {
        mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        digest: built?.digest,
        size: built?.blobBytes,
      };
      expect(manifest).toBeDefined();
      const answer = { schemaVersion: 2, mediaType: mediaTypes.oci.manifest, config, layers: [foreign] };
      proxy.plan(manifests, json(answer));
      const body = await Bun.file(join(layout.directory, "blobs", (config?.digest ?? "").replace(":", "/"))).bytes();
      proxy.plan(/\/blobs\//, answerWith({ status: 200, body: Buffer.from(body) }));
      expect((await failureOf(open("org/app:one"))).message).toContain("is a foreign layer, which is not fetched");
    });

    test("a tag or a repository that is not there", async () => {
      expect(await failureOf(open("org/app:none"))).toEqual({
        code: "not_found",
        message: expect.stringMatching(
          /^image docker:\S+ \S+ answered 404 for the manifest none of org\/app: MANIFEST_UNKNOWN: manifest unknown$/,
        ),
      });
      expect((await failureOf(open("org/none:v1"))).code).toBe("not_found");
    });

    test("an auth file that is not there, also where no credentials are needed", async () => {
      const missing = join(directory.path, "missing.json");
      const { code, message } = await failureOf(open("org/app:one", "linux/amd64", undefined, missing));
      expect(code).toBe("failed_precondition");
      expect(message).toContain(`there is no auth file ${missing} on ${hostname()}, the pool's host`);
      expect(proxy.requests).toEqual([]);
    });

    test("a manifest that is not what its digest or its sender promise", async () => {
      proxy.plan(manifests, json({ a: 1 }, { "docker-content-digest": sha256(Buffer.from("x")) }));
      expect((await failureOf(open("org/app:one"))).message).toMatch(/sent other bytes .* than it said/);
      proxy.plan(manifests, json({ a: 1 }));
      const { digest } = layout.images[0]?.manifest ?? { digest: "" };
      const failure = await failureOf(open(`org/app@${digest}`));
      expect(failure.message).toContain(
        `sent other bytes (their digest is ${sha256(Buffer.from('{"a":1}'))}) for the manifest ${digest} of org/app`,
      );
    });
  });

  test("is not another one when a part of it could not be fetched", async () => {
    proxy.plan(
      new RegExp(`manifests/${String(layout.images[4]?.manifest.digest)}`),
      answerWith({ status: 500, body: Buffer.of() }),
      99,
    );
    expect(await failureOf(open("org/app:many"))).toMatchObject({ code: "deadline_exceeded" });
  });

  test("is closed when its caller goes", async () => {
    const gone = new Canceller();
    proxy.plan(manifests, (socket) => new Promise((resolve) => socket.once("close", () => resolve())));
    const opening = failureOf(open("org/app:one", "linux/amd64", gone.signal));
    await until("it was asked", () => proxy.requests.length);
    gone.cancel(new AbortReason("cancelled", "the caller went"));
    expect((await opening).message).toBe("the caller went");
    await until(
      "its connections are closed",
      () => proxy.connections,
      (count) => count === 0,
    );
  });
});
