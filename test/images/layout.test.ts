import { describe, expect, test } from "bun:test";
import { readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isSnapmillError } from "../../src/domain/errors.ts";
import { openImage } from "../../src/images/resolve.ts";
import { temporaryDirectory } from "../support/directories.ts";
import {
  blobForms,
  type Descriptor,
  type LayerSource,
  mediaTypes,
  putJson,
  sha256,
  writeEntryPoints,
  writeImage,
  writeLayout,
} from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { file } from "../support/tar-entries.ts";
import { expectRefusal, failure } from "./refusal.ts";

const content = (text: string) => [file("hello.txt", text)];
const layer = (text: string): LayerSource => ({ content: content(text) });

describe("an OCI layout", () => {
  test("gives its layers bottom first, however they are stored", async () => {
    await using directory = await temporaryDirectory();
    const built = await writeImage(
      directory.path,
      blobForms.map((form) => ({ content: content(form), form })),
      { platform: "linux/amd64" },
    );
    await using image = await openImage(built.reference, "linux/amd64");
    expect(image.reference).toBe(built.reference);
    expect(image.platform).toBe("linux/amd64");
    expect(String(image.manifestDigest)).toBe(built.manifest.digest);
    expect(image.layers.map(({ compression }) => compression)).toEqual(["none", "gzip", "gzip", "zstd", "zstd"]);
    expect(image.layers.map((found) => String(found.diffId))).toEqual(
      blobForms.map((form) => sha256(tar(content(form)))),
    );
    for (const { digest, blob } of image.layers) {
      expect(blob.offsetBytes).toBe(0);
      const bytes = await readFile(blob.path);
      expect(blob.lengthBytes).toBe(bytes.length);
      expect(sha256(bytes)).toBe(String(digest));
    }
  });

  test("may be written with docker's media types", async () => {
    await using directory = await temporaryDirectory();
    const sources = blobForms.map((form) => ({ content: content(form), form }));
    await writeLayout(directory.path, [
      { tag: "x", image: [{ mediaTypes: "docker", platform: "linux/amd64", layers: sources }] },
    ]);
    await using image = await openImage(`oci:${directory.path}:x`, "linux/amd64");
    expect(image.layers.length).toBe(blobForms.length);
  });

  test("needs no tag when it holds one image", async () => {
    await using directory = await temporaryDirectory();
    const built = await writeLayout(directory.path, [{ image: { platform: "linux/amd64", layers: [layer("a")] } }]);
    await using image = await openImage(`oci:${directory.path}`, "linux/amd64");
    expect(String(image.manifestDigest)).toBe(built.images[0]?.manifest.digest ?? "");
  });

  test("with several images wants a tag or a number, and lists them", async () => {
    await using directory = await temporaryDirectory();
    const one = (text: string) => ({ platform: "linux/amd64", layers: [layer(text)] });
    const built = await writeLayout(directory.path, [
      { tag: "v1", image: one("1") },
      { tag: "v2", image: one("2") },
      { image: one("3") },
    ]);
    await expectRefusal(
      `oci:${directory.path}`,
      "not_found",
      /holds 3 images; add ':' and one of these .*: v1, v2, @2$/,
    );
    await expectRefusal(`oci:${directory.path}:v3`, "not_found", /no tag "v3"; use one of: v1, v2, @2$/);
    await expectRefusal(`oci:${directory.path}:@3`, "not_found", /no image @3: it holds 3$/);
    for (const [index, selector] of ["v1", "v2", "@2"].entries()) {
      await using image = await openImage(`oci:${directory.path}:${selector}`, "linux/amd64");
      expect(String(image.manifestDigest)).toBe(built.images[index]?.manifest.digest ?? "");
    }
  });

  test("is found by the whole name that an image store wrote", async () => {
    await using directory = await temporaryDirectory();
    const built = await writeLayout(directory.path, [
      { tag: "latest", image: { platform: "linux/amd64", layers: [layer("a")] } },
      { tag: "latest", image: { platform: "linux/amd64", layers: [layer("b")] } },
    ]);
    const [first, second] = built.images;
    if (first === undefined || second === undefined) throw new Error("no images");
    const named = (manifest: Descriptor, name: string): Descriptor => ({
      ...manifest,
      annotations: { "org.opencontainers.image.ref.name": "latest", "io.containerd.image.name": name },
    });
    await writeEntryPoints(directory.path, [
      named(first.manifest, "docker.io/me/a:latest"),
      named(second.manifest, "docker.io/me/b:latest"),
    ]);
    await using image = await openImage(`oci:${directory.path}:docker.io/me/b:latest`, "linux/amd64");
    expect(String(image.manifestDigest)).toBe(second.manifest.digest);
  });

  test("gives the image of the platform that is asked for", async () => {
    await using directory = await temporaryDirectory();
    // The nearest one comes after one that would run as well.
    const platforms = ["linux/amd64", "linux/arm64/v8", "linux/arm/v5", "linux/arm/v6"];
    const built = await writeLayout(directory.path, [
      { tag: "multi", image: platforms.map((platform) => ({ platform, layers: [layer(platform)] })) },
    ]);
    for (const [wanted, index] of [
      ["linux/amd64", 0],
      ["linux/arm64", 1],
      ["linux/arm", 3],
      ["linux/arm/v5", 2],
    ] as const) {
      await using image = await openImage(`oci:${directory.path}:multi`, wanted);
      expect(image.platform).toBe(platforms[index] ?? "");
      expect(String(image.manifestDigest)).toBe(built.images[index]?.manifest.digest ?? "");
    }
    const error = await failure(`oci:${directory.path}:multi`, "linux/s390x");
    expect(isSnapmillError(error, "not_found")).toBe(true);
    expect(String(error)).toMatch(
      /not for linux\/s390x; pass --platform with one of: linux\/amd64, linux\/arm64\/v8, linux\/arm\/v5, linux\/arm\/v6$/,
    );
  });

  test("may list its platforms in index.json itself", async () => {
    await using directory = await temporaryDirectory();
    const built = await writeLayout(directory.path, [
      { image: { platform: "linux/amd64", layers: [layer("a")] } },
      { image: { platform: "linux/arm64", layers: [layer("b")] } },
    ]);
    const platforms = [
      { os: "linux", architecture: "amd64" },
      { os: "linux", architecture: "arm64" },
    ];
    await writeEntryPoints(
      directory.path,
      built.images.map(({ manifest }, index) => ({ ...manifest, platform: platforms[index] })),
    );
    await using image = await openImage(`oci:${directory.path}`, "linux/arm64");
    expect(String(image.manifestDigest)).toBe(built.images[1]?.manifest.digest ?? "");
  });

  test("with one image for another platform says for which", async () => {
    await using directory = await temporaryDirectory();
    const { reference } = await writeImage(directory.path, [layer("a")], { platform: "linux/arm64/v8" });
    await expectRefusal(reference, "not_found", /not for linux\/amd64; pass --platform with one of: linux\/arm64\/v8$/);
  });

  test("passes over attestations, and indexes nested in indexes", async () => {
    await using directory = await temporaryDirectory();
    const built = await writeLayout(directory.path, [{ image: { platform: "linux/amd64", layers: [layer("a")] } }]);
    const manifest = built.images[0]?.manifest;
    if (manifest === undefined) throw new Error("no image");
    const attestation = {
      ...manifest,
      digest: `sha256:${"0".repeat(64)}`,
      platform: { os: "unknown", architecture: "unknown" },
    };
    const type = mediaTypes.oci.index;
    const nest = (manifests: readonly Descriptor[]) =>
      putJson(directory.path, type, { schemaVersion: 2, mediaType: type, manifests });
    const inner = await nest([attestation, manifest]);
    await writeEntryPoints(directory.path, [await nest([inner])]);
    await using image = await openImage(`oci:${directory.path}`, "linux/amd64");
    expect(String(image.manifestDigest)).toBe(manifest.digest);
    let deep = inner;
    for (let depth = 0; depth < 5; depth += 1) deep = await nest([deep]);
    await writeEntryPoints(directory.path, [deep]);
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /indexes are nested more than 4 deep/);
  });

  test("may have lists that are null, as Go writes empty ones", async () => {
    await using directory = await temporaryDirectory();
    await writeEntryPoints(directory.path, []);
    await writeFile(join(directory.path, "index.json"), '{"schemaVersion":2,"manifests":null}');
    await expectRefusal(`oci:${directory.path}`, "not_found", /the layout holds no image/);
  });

  test("stops when it is cancelled", async () => {
    await using directory = await temporaryDirectory();
    const { reference } = await writeImage(directory.path, [layer("a")]);
    const reason = new Error("enough");
    const opening = openImage(reference, "linux/amd64", { signal: AbortSignal.abort(reason) });
    expect(await opening.catch((thrown: unknown) => thrown)).toBe(reason);
  });
});

describe("what is no OCI layout", () => {
  test("is called by its name", async () => {
    await using directory = await temporaryDirectory();
    await expectRefusal(`oci:${directory.path}/nothing`, "not_found", /there is no directory .*\/nothing$/);
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /no file oci-layout in it/);
    await writeFile(join(directory.path, "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /layout of version "2.0.0"; only 1.x/);
    await writeFile(join(directory.path, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /no index.json in it/);
    await writeFile(join(directory.path, "index.json"), "{");
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /its index.json is not valid JSON/);
    await writeFile(join(directory.path, "index.json"), '{"manifests":[{"digest":"../../etc/passwd"}]}');
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /entry 0 of its index .*digest: .*only sha256/);
    await truncate(join(directory.path, "index.json"), (32 << 20) + 1);
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /33554433 bytes; the limit is 33554432/);
  });

  test("is refused when a file of it is none", async () => {
    await using directory = await temporaryDirectory();
    await symlink("/dev/zero", join(directory.path, "oci-layout"));
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /oci-layout is not a regular file/);
    await expectRefusal(
      `oci:${directory.path}/oci-layout`,
      "failed_precondition",
      /is no directory; .* oci-archive:FILE/,
    );
  });
});
