import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openImage } from "../../src/images/resolve.ts";
import { temporaryDirectory } from "../support/directories.ts";
import {
  type BuiltImage,
  blobPath,
  type Descriptor,
  mediaTypes,
  putBlob,
  putJson,
  sha256,
  writeEntryPoints,
  writeLayout,
} from "../support/images.ts";
import { file } from "../support/tar-entries.ts";
import { expectRefusal } from "./refusal.ts";

const refName = "org.opencontainers.image.ref.name";
const storeName = "io.containerd.image.name";
const amd64 = { os: "linux", architecture: "amd64" };
const types = mediaTypes.oci;

/** Images of one layer each, none of them in `index.json` yet. */
async function imagesIn(layout: string, ...texts: readonly string[]): Promise<readonly BuiltImage[]> {
  const { images } = await writeLayout(
    layout,
    texts.map((text) => ({ image: { platform: "linux/amd64", layers: [{ content: [file("hello.txt", text)] }] } })),
  );
  return images;
}

const firstOf = ([first]: readonly BuiltImage[]): Descriptor => {
  if (first === undefined) throw new Error("no image");
  return first.manifest;
};

const nested = (layout: string, manifests: readonly unknown[]) =>
  putJson(layout, types.index, { schemaVersion: 2, mediaType: types.index, manifests });

async function expectImage(reference: string, manifest: Descriptor): Promise<void> {
  await using image = await openImage(reference, "linux/amd64");
  expect(String(image.manifestDigest)).toBe(manifest.digest);
}

/** An artifact whose media type is that of an image's manifest, as the OCI image specification 1.1 has it. */
async function artifact(layout: string): Promise<Descriptor> {
  const empty = await putBlob(layout, "application/vnd.oci.empty.v1+json", Buffer.from("{}"));
  const artifactType = "application/vnd.example.sbom";
  const manifest = { schemaVersion: 2, mediaType: types.manifest, artifactType, config: empty, layers: [empty] };
  return putJson(layout, types.manifest, manifest);
}

const configType = types.config;

/** As cosign writes it. */
async function signature(
  layout: string,
  mediaType: string,
  platform: object = { os: "", architecture: "" },
): Promise<Descriptor> {
  const layer = await putBlob(
    layout,
    "application/vnd.dev.cosign.simplesigning.v1+json",
    Buffer.from('{"critical":{}}'),
  );
  const config = await putJson(layout, mediaType, {
    ...platform,
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  return putJson(layout, types.manifest, { schemaVersion: 2, mediaType: types.manifest, config, layers: [layer] });
}

async function sha512Entry(layout: string): Promise<Descriptor> {
  const bytes = Buffer.from('{"x":1}');
  const digest = `sha512:${createHash("sha512").update(bytes).digest("hex")}`;
  await mkdir(dirname(blobPath(layout, digest)), { recursive: true });
  await writeFile(blobPath(layout, digest), bytes);
  return { mediaType: types.manifest, digest, size: bytes.length };
}

describe("of what stands in an index, only what is chosen is judged", () => {
  const beside: readonly (readonly [what: string, (layout: string) => Promise<unknown>])[] = [
    ["an artifact without a platform", artifact],
    ["an artifact that says its platform", async (layout) => ({ ...(await artifact(layout)), platform: amd64 })],
    ["a signature that has the configuration of an image", (layout) => signature(layout, configType)],
    ["a signature that has a configuration for this platform", (layout) => signature(layout, configType, amd64)],
    ["a sha512 digest", sha512Entry],
    [
      "a sha512 digest for another platform",
      async (layout) => ({ ...(await sha512Entry(layout)), platform: { os: "linux", architecture: "arm64" } }),
    ],
    ["an unknown media type", async () => ({ mediaType: "application/x-new", digest: "new:1", size: "big" })],
    [
      "an image that is missing",
      async () => ({ mediaType: types.manifest, digest: sha256(Buffer.from("gone")), size: 7 }),
    ],
    [
      "an index that is missing",
      async () => ({ mediaType: types.index, digest: sha256(Buffer.from("gone")), size: 7 }),
    ],
    ["an index that is none", (layout) => putBlob(layout, types.index, Buffer.from("none"))],
    ["null", async () => null],
    ["a number", async () => 7],
    [
      "nothing but nulls",
      async () => ({ mediaType: null, digest: null, size: null, annotations: null, platform: null }),
    ],
  ];
  for (const [what, entry] of beside) {
    for (const isFirst of [true, false]) {
      test(`${what} ${isFirst ? "before" : "behind"} the image is passed over`, async () => {
        await using directory = await temporaryDirectory();
        const manifest = firstOf(await imagesIn(directory.path, "a"));
        for (const image of [manifest, { ...manifest, platform: amd64 }]) {
          const other = await entry(directory.path);
          const index = await nested(directory.path, isFirst ? [other, image] : [image, other]);
          await writeEntryPoints(directory.path, [{ ...index, annotations: { [refName]: "latest" } }]);
          await expectImage(`oci:${directory.path}:latest`, manifest);
        }
      });
    }
  }

  test("what is chosen by its number is judged, and named by it", async () => {
    await using directory = await temporaryDirectory();
    const manifest = firstOf(await imagesIn(directory.path, "a"));
    await writeEntryPoints(directory.path, [
      manifest,
      await sha512Entry(directory.path),
      await artifact(directory.path),
    ]);
    await expectImage(`oci:${directory.path}:@0`, manifest);
    await expectRefusal(`oci:${directory.path}:@1`, "failed_precondition", /entry 1 of its index .*only sha256/);
    await expectRefusal(
      `oci:${directory.path}:@2`,
      "failed_precondition",
      /no container image: .*"application\/vnd\.oci\.empty/,
    );
  });

  test("what alone could be the image, and is damaged, is told", async () => {
    await using directory = await temporaryDirectory();
    const manifest = firstOf(await imagesIn(directory.path, "a"));
    await writeEntryPoints(directory.path, [
      await nested(directory.path, [await artifact(directory.path), { ...manifest, platform: amd64 }]),
    ]);
    await rm(blobPath(directory.path, manifest.digest));
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /the manifest sha256:.* is missing/);
  });

  test("an index of signatures alone is for no platform", async () => {
    await using directory = await temporaryDirectory();
    await imagesIn(directory.path, "a");
    const attestation = { ...(await artifact(directory.path)), platform: { os: "unknown", architecture: "unknown" } };
    await writeEntryPoints(directory.path, [await nested(directory.path, [attestation])]);
    await expectRefusal(`oci:${directory.path}`, "not_found", /not for linux\/amd64, nor for any other platform$/);
  });
});

describe("an entry with a platform", () => {
  test("comes before one without, wherever it stands", async () => {
    await using directory = await temporaryDirectory();
    const [plain, said] = await imagesIn(directory.path, "a", "b");
    if (plain === undefined || said === undefined) throw new Error("no images");
    const inner = await nested(directory.path, [{ ...said.manifest, platform: amd64 }]);
    await writeEntryPoints(directory.path, [await nested(directory.path, [plain.manifest, inner])]);
    await expectImage(`oci:${directory.path}`, said.manifest);
  });

  test("of which every optional field is null is as if they were absent", async () => {
    await using directory = await temporaryDirectory();
    const { images } = await writeLayout(directory.path, [
      {
        image: {
          platform: "linux/amd64",
          config: { variant: null, config: null, history: null, created: null },
          manifest: { annotations: null, subject: null, artifactType: null, mediaType: null, manifests: null },
          layers: [{ content: [file("hello.txt")] }],
        },
      },
    ]);
    const manifest = firstOf(images);
    const platform = { ...amd64, variant: null, "os.version": null, "os.features": null };
    const entry = { ...manifest, platform, annotations: null, urls: null, data: null, artifactType: null };
    await writeEntryPoints(directory.path, [await nested(directory.path, [entry])]);
    await expectImage(`oci:${directory.path}`, manifest);
  });

  test("whose platform is empty is one without", async () => {
    await using directory = await temporaryDirectory();
    const manifest = firstOf(await imagesIn(directory.path, "a"));
    for (const platform of [null, {}, { os: "", architecture: "" }, { os: null, architecture: null }]) {
      await writeEntryPoints(directory.path, [await nested(directory.path, [{ ...manifest, platform }])]);
      await expectImage(`oci:${directory.path}`, manifest);
    }
  });

  test("may have the name of a thing that every object has", async () => {
    await using directory = await temporaryDirectory();
    const manifest = firstOf(await imagesIn(directory.path, "a"));
    const odd = ["constructor", "__proto__", "toString"].map((architecture) => ({
      ...manifest,
      platform: { os: "linux", architecture },
    }));
    await writeEntryPoints(directory.path, [await nested(directory.path, [...odd, { ...manifest, platform: amd64 }])]);
    await expectImage(`oci:${directory.path}`, manifest);
  });
});

describe("a tag", () => {
  test("that two images have is refused, and both are named", async () => {
    await using directory = await temporaryDirectory();
    const [one, two] = await imagesIn(directory.path, "1", "2");
    if (one === undefined || two === undefined) throw new Error("no images");
    const named = ({ manifest }: BuiltImage, name: string) => ({
      ...manifest,
      annotations: { [refName]: "latest", [storeName]: `docker.io/library/${name}:latest` },
    });
    await writeEntryPoints(directory.path, [named(one, "one"), named(two, "two")]);
    const first = `@0 \\(docker\\.io/library/one:latest, ${one.manifest.digest}\\)`;
    const second = `@1 \\(docker\\.io/library/two:latest, ${two.manifest.digest}\\)`;
    await expectRefusal(
      `oci:${directory.path}:latest`,
      "failed_precondition",
      new RegExp(`2 images have the tag "latest"; use the number .*: ${first}, ${second}$`),
    );
    await expectImage(`oci:${directory.path}:@1`, two.manifest);
    await expectImage(`oci:${directory.path}:docker.io/library/one:latest`, one.manifest);
    await expectImage(`oci:${directory.path}:two`, two.manifest);
  });

  test("that one image has twice is that image's", async () => {
    await using directory = await temporaryDirectory();
    const manifest = firstOf(await imagesIn(directory.path, "a"));
    const tagged = (name: string) => ({ ...manifest, annotations: { [refName]: name } });
    await writeEntryPoints(directory.path, [tagged("v1"), tagged("v1"), tagged("v2")]);
    await expectImage(`oci:${directory.path}:v1`, manifest);
    await expectImage(`oci:${directory.path}`, manifest);
  });

  test("is not needed where signatures stand beside the only image", async () => {
    await using directory = await temporaryDirectory();
    const manifest = firstOf(await imagesIn(directory.path, "a"));
    const signature = { ...(await nested(directory.path, [])), mediaType: types.manifest };
    await writeEntryPoints(directory.path, [
      { ...signature, annotations: { kind: "dev.cosignproject.cosign/sigs" } },
      { ...manifest, annotations: { kind: "dev.cosignproject.cosign/image" } },
      { ...(await artifact(directory.path)), artifactType: "application/vnd.example.sbom" },
    ]);
    await expectImage(`oci:${directory.path}`, manifest);
  });

  test("with control characters does not reach the terminal as it is", async () => {
    await using directory = await temporaryDirectory();
    const manifest = firstOf(await imagesIn(directory.path, "a"));
    const tag = `\u001b]0;title\u0007\u009b${"long".repeat(1000)}`;
    await writeEntryPoints(directory.path, [{ ...manifest, annotations: { [refName]: tag } }]);
    await expectRefusal(
      `oci:${directory.path}:x`,
      "not_found",
      /use one of: "\\u001b\]0;title\\u0007\\u009blong.{50,150}"\.\.\. \(4011 characters\)$/,
    );
  });
});

test("an image that does not say its platform is taken, when none says it", async () => {
  await using directory = await temporaryDirectory();
  const content = (text: string) => ({ layers: [{ content: [file("hello.txt", text)] }] });
  const { images } = await writeLayout(directory.path, [
    { image: { ...content("a"), config: { os: null, architecture: null } } },
    { image: { ...content("b"), platform: "linux/amd64" } },
  ]);
  const [unsaid, said] = images;
  if (unsaid === undefined || said === undefined) throw new Error("no images");
  await writeEntryPoints(directory.path, [await nested(directory.path, [unsaid.manifest, said.manifest])]);
  await expectImage(`oci:${directory.path}`, said.manifest);
  await writeEntryPoints(directory.path, [await nested(directory.path, [unsaid.manifest])]);
  await expectImage(`oci:${directory.path}`, unsaid.manifest);
});

test("what an image calls its platforms does not reach the terminal as it is", async () => {
  await using directory = await temporaryDirectory();
  const manifest = firstOf(await imagesIn(directory.path, "a"));
  const odd = { ...manifest, platform: { os: "linux", architecture: "a\u001b[31m\u009b\u202e" } };
  await writeEntryPoints(directory.path, [await nested(directory.path, [odd])]);
  await expectRefusal(`oci:${directory.path}`, "not_found", /one of: linux\/a\\u001b\[31m\\u009b\\u202e$/);
});

test("a document that its descriptor carries in itself need not be stored", async () => {
  await using directory = await temporaryDirectory();
  const manifest = firstOf(await imagesIn(directory.path, "a"));
  const bytes = await Bun.file(blobPath(directory.path, manifest.digest)).bytes();
  const data = Buffer.from(bytes).toString("base64");
  await rm(join(directory.path, "blobs", ...manifest.digest.split(":")));
  await writeEntryPoints(directory.path, [{ ...manifest, data }]);
  await expectImage(`oci:${directory.path}`, manifest);
  await writeEntryPoints(directory.path, [{ ...manifest, data: Buffer.from("{}").toString("base64") }]);
  await expectRefusal(`oci:${directory.path}`, "failed_precondition", /the manifest .* has 2 bytes, not/);
});
