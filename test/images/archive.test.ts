import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { open, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isSnapmillError } from "../../src/domain/errors.ts";
import type { BlobRange, ResolvedImage } from "../../src/images/image.ts";
import { openImage } from "../../src/images/resolve.ts";
import { packDockerArchive, packOciArchive } from "../support/archives.ts";
import { temporaryDirectory } from "../support/directories.ts";
import {
  type BlobForm,
  type BuiltLayout,
  blobForms,
  compressed,
  sha256,
  writeImage,
  writeLayout,
} from "../support/images.ts";
import { header, paxHeader, tar } from "../support/tar.ts";
import {
  bytesOf,
  directory as directoryEntry,
  fifo,
  file,
  hardLink,
  raw,
  sparse,
  symlink,
} from "../support/tar-entries.ts";
import { expectRefusal, failure } from "./refusal.ts";

const platform = "linux/amd64";
const layersOf = (forms: readonly BlobForm[]) => forms.map((form) => ({ content: [file("hello.txt", form)], form }));

async function bytesAt({ path, offsetBytes, lengthBytes }: BlobRange): Promise<Buffer> {
  const buffer = Buffer.alloc(lengthBytes);
  await using handle = await open(path, "r");
  expect((await handle.read(buffer, 0, lengthBytes, offsetBytes)).bytesRead).toBe(lengthBytes);
  return buffer;
}

/** Every layer's range holds the bytes that its digest promises. */
async function expectSound(image: ResolvedImage): Promise<void> {
  expect(image.layers.length).toBeGreaterThan(0);
  for (const { digest, blob } of image.layers) expect(sha256(await bytesAt(blob))).toBe(String(digest));
}

describe("an OCI archive", () => {
  test.each(["", "./"])("is read in place, with names that start with %j", async (prefix) => {
    await using directory = await temporaryDirectory();
    const layout = join(directory.path, "layout");
    const built = await writeImage(layout, layersOf(blobForms), { platform });
    const archive = join(directory.path, "image.tar");
    await packOciArchive(layout, archive, { prefix });
    await using image = await openImage(`oci-archive:${archive}:test`, platform);
    expect(String(image.manifestDigest)).toBe(built.manifest.digest);
    expect(image.layers.map(({ blob }) => blob.path)).toEqual(blobForms.map(() => archive));
    await expectSound(image);
  });

  test.each(["gzip", "gzip-members", "zstd", "zstd-frames"] as const)(
    "compressed as %s leaves no file, and its bytes are there for other processes until it is closed",
    async (form) => {
      await using directory = await temporaryDirectory();
      const layout = join(directory.path, "layout");
      await writeImage(layout, layersOf(blobForms), { platform });
      const archive = join(directory.path, "image.tar");
      await packOciArchive(layout, archive, { form });
      const image = await openImage(`oci-archive:${archive}`, platform, { tempDir: directory.path });
      await using _closed = image;
      await expectSound(image);
      expect((await readdir(directory.path)).sort()).toEqual(["image.tar", "layout"]);
      const [first] = image.layers;
      if (first === undefined) throw new Error("no layer");
      const script =
        'const b = require("fs").readFileSync(process.argv[1]); process.stdout.write(b.subarray(+process.argv[2], +process.argv[3]))';
      const { offsetBytes, lengthBytes, path } = first.blob;
      const child = Bun.spawn([
        process.execPath,
        "-e",
        script,
        path,
        String(offsetBytes),
        String(offsetBytes + lengthBytes),
      ]);
      const seen = new Uint8Array(await new Response(child.stdout).arrayBuffer());
      expect(`sha256:${createHash("sha256").update(seen).digest("hex")}`).toBe(String(first.digest));
      await image[Symbol.asyncDispose]();
      expect(existsSync(path)).toBe(false);
    },
  );

  test("may be an archive of docker at the same time", async () => {
    await using directory = await temporaryDirectory();
    const layout = join(directory.path, "layout");
    const built = await writeImage(layout, layersOf(["gzip"]), { platform });
    const blobName = (digest: string) => `blobs/${digest.replace(":", "/")}`;
    const manifest = [
      {
        Config: blobName(built.config.digest),
        RepoTags: ["app:v1"],
        Layers: built.layers.map(({ digest }) => blobName(digest)),
      },
    ];
    const archive = join(directory.path, "both.tar");
    await packOciArchive(layout, archive, { more: [file("manifest.json", JSON.stringify(manifest))] });
    await using asOci = await openImage(`oci-archive:${archive}:test`, platform);
    await using asDocker = await openImage(`docker-archive:${archive}:app:v1`, platform);
    expect(asDocker.layers).toEqual(asOci.layers);
    expect(String(asDocker.manifestDigest)).toBe(built.config.digest);
  });
});

async function packed(
  directory: string,
  forms: readonly BlobForm[],
  options: Parameters<typeof packDockerArchive>[2] = {},
) {
  const layout: BuiltLayout = await writeLayout(join(directory, "layout"), [
    { image: { platform, layers: layersOf(forms) } },
    { image: { platform, layers: layersOf(["none", ...forms]) } },
  ]);
  const archive = join(directory, "image.tar");
  await packDockerArchive(layout, archive, {
    repoTags: [["app:v1", "quay.io/me/app:v1"], ["other:latest"]],
    ...options,
  });
  return { layout, archive };
}

describe("a docker archive", () => {
  test.each([false, true])("is read in place, however its layers are stored (linked: %p)", async (linkedLayers) => {
    await using directory = await temporaryDirectory();
    const { layout, archive } = await packed(directory.path, blobForms, { linkedLayers });
    await using image = await openImage(`docker-archive:${archive}:app:v1`, platform);
    const built = layout.images[0];
    expect(String(image.manifestDigest)).toBe(built?.config.digest ?? "");
    expect(image.layers.map((layer) => String(layer.digest))).toEqual(built?.layers.map(({ digest }) => digest) ?? []);
    expect(image.layers.map((layer) => String(layer.diffId))).toEqual(built?.layers.map(({ diffId }) => diffId) ?? []);
    expect(image.layers.map(({ compression }) => compression)).toEqual(["none", "gzip", "gzip", "zstd", "zstd"]);
    await expectSound(image);
  });

  test("finds an image by any of its names, shortened or in full, and by its number", async () => {
    await using directory = await temporaryDirectory();
    const { layout, archive } = await packed(directory.path, ["none"]);
    const expected = [
      ["app:v1", 0],
      ["docker.io/library/app:v1", 0],
      ["quay.io/me/app:v1", 0],
      ["@0", 0],
      ["other", 1],
      ["@1", 1],
    ] as const;
    for (const [selector, index] of expected) {
      await using image = await openImage(`docker-archive:${archive}:${selector}`, platform);
      expect(String(image.manifestDigest)).toBe(layout.images[index]?.config.digest ?? "");
    }
    await expectRefusal(`docker-archive:${archive}`, "not_found", /holds 2 images; add .*: app:v1, other:latest$/);
    await expectRefusal(
      `docker-archive:${archive}:app:v2`,
      "not_found",
      /no image "app:v2"; use one of: app:v1, other:latest$/,
    );
    await expectRefusal(`docker-archive:${archive}:@2`, "not_found", /no image @2: it holds 2$/);
  });

  test("for another platform says for which", async () => {
    await using directory = await temporaryDirectory();
    const { archive } = await packed(directory.path, ["none"]);
    const error = await openImage(`docker-archive:${archive}:@0`, "linux/arm64").catch((thrown: unknown) => thrown);
    expect(String(error)).toMatch(/not for linux\/arm64\/v8; pass --platform with one of: linux\/amd64$/);
  });

  test("may have hard links and long names among its members", async () => {
    await using directory = await temporaryDirectory();
    const bytes = tar([file("hello.txt", "hello")]);
    const config = JSON.stringify({
      os: "linux",
      architecture: "amd64",
      rootfs: { type: "layers", diff_ids: [sha256(bytes), sha256(bytes), sha256(bytes)] },
    });
    const long = `${"long-".repeat(30)}/layer.tar`;
    const archive = join(directory.path, "image.tar");
    const manifest = [{ Config: "config", Layers: [long, "b/layer.tar", "c/layer.tar"] }];
    const entries = [
      directoryEntry("b"),
      file(long, bytes, { longNames: "gnu" }),
      hardLink("b/layer.tar", long),
      symlink("c/layer.tar", `/${long}`, { longNames: "gnu" }),
      file("config", config),
      file("manifest.json", "not this one"),
      file("manifest.json", JSON.stringify(manifest)),
    ];
    await writeFile(archive, tar(entries, { endMarker: false }));
    await using image = await openImage(`docker-archive:${archive}`, platform);
    expect(image.layers.length).toBe(3);
    await expectSound(image);
  });
});

describe("an archive", () => {
  const configOf = (diffIds: readonly string[]) =>
    JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: diffIds } });
  const manifestOf = (layers: readonly string[], config = "config") =>
    file("manifest.json", JSON.stringify([{ Config: config, Layers: layers }]));
  const bytes = tar([file("hello.txt", "hello")]);
  const config = file("config", configOf([sha256(bytes)]));

  const wrong = [
    ["whose layer is missing", [config, manifestOf(["x"])], /layer 1 of 1 \("x"\) is missing from the archive/],
    ["whose layer leads out of it", [config, manifestOf(["../../etc/passwd"])], /is missing from the archive/],
    [
      "whose layer is a link in a circle",
      [config, symlink("x", "y"), symlink("y", "x"), manifestOf(["x"])],
      /leads round in a circle/,
    ],
    ["whose layer is a fifo", [config, fifo("x"), manifestOf(["x"])], /"x" of .* is not a regular file/],
    [
      "whose layer is stored sparse",
      [config, sparse("x", 4096, []), manifestOf(["x"])],
      /"x" of .* is stored as a sparse file/,
    ],
    [
      "whose layer is bzip2",
      [config, file("x", "BZh91AY"), manifestOf(["x"])],
      /compressed in a way that is not supported/,
    ],
    [
      "with more layers than diff IDs",
      [config, file("x", bytes), manifestOf(["x", "x"])],
      /has 2 layers, but its configuration 1 diff IDs/,
    ],
    ["whose configuration is missing", [manifestOf(["x"])], /its configuration "config" is missing/],
    [
      "whose configuration changed",
      [file(`${"0".repeat(64)}.json`, "{}"), manifestOf([], `${"0".repeat(64)}.json`)],
      /is damaged: its content has the digest/,
    ],
    ["without an image", [file("manifest.json", "[]")], /holds no image/],
    ["without a manifest", [file("x")], /is no docker archive: there is no manifest.json in it/],
    [
      "with a header that is damaged",
      [raw(Buffer.alloc(512, 0x41))],
      /is no tar archive, or a damaged one: .*octal|checksum/,
    ],
    [
      "with a malformed PAX header",
      [
        raw(
          Buffer.concat([header({ name: bytesOf("x"), typeflag: "x", sizeBytes: 9 }), Buffer.alloc(512, "9 path=x")]),
        ),
      ],
      /image\.tar is no tar archive, or a damaged one: a PAX record at byte 0 of its extended header is malformed/,
    ],
    [
      "with a negative size",
      [raw(paxHeader("x", [["size", "-1"]])), file("x")],
      /image\.tar is no tar archive, or a damaged one: size "-1" is not a number/,
    ],
    [
      "with an enormous extended header",
      [raw(header({ name: bytesOf("x"), typeflag: "L", sizeBytes: (1 << 20) + 1 })), raw(Buffer.alloc(1 << 21))],
      /extended header of 1048577 bytes/,
    ],
  ] as const;
  test.each(wrong)("%s is refused", async (_what, entries, message) => {
    await using directory = await temporaryDirectory();
    const archive = join(directory.path, "image.tar");
    await writeFile(archive, tar(entries));
    const error = await failure(`docker-archive:${archive}`);
    expect(isSnapmillError(error) ? error.message : error).toMatch(message);
    expect(String(error)).toContain(`image docker-archive:${archive}: `);
  });

  test.each(["none", "gzip", "zstd"] as const)("cut short anywhere is refused (%s)", async (form) => {
    await using directory = await temporaryDirectory();
    const whole = join(directory.path, "whole.tar");
    const layout = await writeLayout(join(directory.path, "layout"), [
      { image: { platform, layers: layersOf(["none"]) } },
    ]);
    await packDockerArchive(layout, whole, { form });
    const stored = await readFile(whole);
    const archive = join(directory.path, "cut.tar");
    for (const share of [0.2, 0.5, 0.7]) {
      await writeFile(archive, stored.subarray(0, Math.floor(stored.length * share)));
      const error = await openImage(`docker-archive:${archive}`, platform, { tempDir: directory.path }).catch(
        (thrown: unknown) => thrown,
      );
      expect(isSnapmillError(error, "failed_precondition")).toBe(true);
    }
    expect((await readdir(directory.path)).sort()).toEqual(["cut.tar", "layout", "whole.tar"]);
  });

  test("that is something else is called by its name", async () => {
    await using directory = await temporaryDirectory();
    const layout = join(directory.path, "layout");
    await writeImage(layout, layersOf(["none"]), { platform });
    const oci = join(directory.path, "oci.tar");
    await packOciArchive(layout, oci);
    await expectRefusal(`docker-archive:${oci}`, "failed_precondition", /is an OCI archive: use oci-archive:FILE/);
    const { archive } = await packed(directory.path, ["none"]);
    await expectRefusal(
      `oci-archive:${archive}`,
      "failed_precondition",
      /is a docker archive: use docker-archive:FILE/,
    );
    await expectRefusal(`oci-archive:${dirname(archive)}`, "failed_precondition", /is no file; .* use oci:DIR/);
    await expectRefusal(`oci-archive:${archive}.gone`, "not_found", /there is no file .*gone$/);
    const xz = join(directory.path, "image.tar.xz");
    await writeFile(xz, Buffer.from("fd377a585a000004", "hex"));
    await expectRefusal(`oci-archive:${xz}`, "failed_precondition", /decompress it first/);
  });

  test("is not decompressed to the end when it is cancelled", async () => {
    await using directory = await temporaryDirectory();
    const archive = join(directory.path, "image.tar.zst");
    await writeFile(archive, compressed(Buffer.alloc(64 << 20), "zstd"));
    const controller = new AbortController();
    const reason = new Error("enough");
    const opening = openImage(`oci-archive:${archive}`, platform, {
      signal: controller.signal,
      tempDir: directory.path,
    });
    setTimeout(() => controller.abort(reason), 1);
    expect(await opening.catch((thrown: unknown) => thrown)).toBe(reason);
  });
});
