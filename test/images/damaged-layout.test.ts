import { describe, expect, test } from "bun:test";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { openImage } from "../../src/images/resolve.ts";
import { temporaryDirectory } from "../support/directories.ts";
import {
  blobPath,
  type LayerSource,
  mediaTypes,
  putBlob,
  sha256,
  writeEntryPoints,
  writeImage,
} from "../support/images.ts";
import { file } from "../support/tar-entries.ts";
import { expectRefusal } from "./refusal.ts";

const layer = (text: string): LayerSource => ({ content: [file("hello.txt", text)] });

test("of several damaged layers the lowest is named, whichever check ends first", async () => {
  const short = { ...layer("short"), damage: (blob: Buffer) => blob.subarray(1) };
  const missing = { ...layer("missing"), damage: () => undefined };
  const whole = Array.from({ length: 20 }, (_, index) => layer(String(index)));
  for (const [above, below] of [
    [short, missing],
    [missing, short],
  ] as const) {
    await using directory = await temporaryDirectory();
    const { reference } = await writeImage(directory.path, [...whole, below, layer("between"), above], {
      platform: "linux/amd64",
    });
    const sentence = below === missing ? /layer 21 of 23 .* is missing/ : /layer 21 of 23 .* bytes, not/;
    await expectRefusal(reference, "failed_precondition", sentence);
  }
});

describe("a damaged layout", () => {
  const damages: readonly (readonly [what: string, Partial<Parameters<typeof writeImage>[2]>, LayerSource, RegExp])[] =
    [
      [
        "a missing layer",
        {},
        { ...layer("a"), damage: () => undefined },
        /layer 2 of 2 \(sha256:[0-9a-f]{64}\) is missing/,
      ],
      [
        "a short layer",
        {},
        { ...layer("a"), damage: (blob) => blob.subarray(1) },
        /layer 2 of 2 .* has \d+ bytes, not \d+/,
      ],
      [
        "a foreign layer",
        {},
        {
          ...layer("a"),
          damage: () => undefined,
          mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        },
        /is a foreign layer/,
      ],
      [
        "an encrypted layer",
        {},
        { ...layer("a"), mediaType: "application/vnd.oci.image.layer.v1.tar+gzip+encrypted" },
        /is encrypted; decrypt/,
      ],
      [
        "a layer compressed with xz",
        {},
        { ...layer("a"), mediaType: "application/vnd.oci.image.layer.v1.tar+xz" },
        /compressed as "xz"; only gzip and zstd/,
      ],
      [
        "a layer of another kind",
        {},
        { ...layer("a"), mediaType: "text/plain" },
        /media type "text\/plain", which is no file system layer/,
      ],
      [
        "gzip that is neither that nor a tar",
        {},
        { content: Buffer.alloc(600, "text"), form: "none", mediaType: mediaTypes.oci.layer("gzip") },
        /should be gzip by its media type, but is not, nor is it a tar; fetch/,
      ],
      [
        "gzip that is bzip2",
        {},
        { content: Buffer.from("BZh91AY&SY"), form: "none", mediaType: mediaTypes.oci.layer("gzip") },
        /compressed in a way that is not supported \(bzip2\); only gzip and zstd are/,
      ],
      [
        "too few diff IDs",
        { config: { rootfs: { type: "layers", diff_ids: [sha256(Buffer.alloc(1))] } } },
        layer("a"),
        /has 2 layers, but its configuration 1 diff IDs/,
      ],
      ["a diff ID that is none", {}, { ...layer("a"), diffId: "md5:0" }, /rootfs\.diff_ids\.1: .*only sha256/],
      ["a strange rootfs", { config: { rootfs: { type: "base", diff_ids: [] } } }, layer("a"), /rootfs\.type/],
      [
        "no layers",
        { manifest: { layers: [] }, config: { rootfs: { type: "layers", diff_ids: null } } },
        layer("a"),
        /has no layers: there is nothing to unpack/,
      ],
      [
        "a manifest that is an index too",
        { manifest: { manifests: [] } },
        layer("a"),
        /must not be both an index and a manifest/,
      ],
      [
        "a manifest that calls itself something else",
        { manifest: { mediaType: mediaTypes.oci.index } },
        layer("a"),
        /calls itself .*index/,
      ],
      [
        "too many layers",
        {
          manifest: {
            layers: Array.from({ length: 513 }, () => ({ mediaType: "x", digest: sha256(Buffer.alloc(1)), size: 1 })),
          },
        },
        layer("a"),
        /layers: .*512/,
      ],
      [
        "a configuration of something else",
        {
          manifest: {
            config: { mediaType: "application/vnd.cncf.helm.config.v1+json", digest: sha256(Buffer.alloc(1)), size: 1 },
          },
        },
        layer("a"),
        /is no container image: .*helm/,
      ],
    ];
  test.each(damages)("with %s is refused", async (_what, image, damaged, message) => {
    await using directory = await temporaryDirectory();
    const { reference } = await writeImage(directory.path, [layer("first"), damaged], {
      platform: "linux/amd64",
      ...image,
    });
    await expectRefusal(reference, "failed_precondition", message);
  });

  test("with a foreign layer that is present is accepted", async () => {
    await using directory = await temporaryDirectory();
    const mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    const { reference } = await writeImage(directory.path, [{ ...layer("a"), mediaType }]);
    await using image = await openImage(reference, "linux/amd64");
    expect(image.layers[0]?.compression).toBe("gzip");
  });

  test.each(["manifest", "config"] as const)("whose %s changed, shrank or went is refused", async (kind) => {
    await using directory = await temporaryDirectory();
    const built = await writeImage(directory.path, [layer("a")]);
    const path = blobPath(directory.path, built[kind].digest);
    const name = kind === "config" ? "configuration" : "manifest";
    const bytes = await readFile(path);
    await writeFile(path, bytes.toString().replace("sha256:", "sha255:"));
    await expectRefusal(
      built.reference,
      "failed_precondition",
      new RegExp(`the ${name} ${built[kind].digest} is damaged`),
    );
    await truncate(path, bytes.length - 1);
    await expectRefusal(
      built.reference,
      "failed_precondition",
      new RegExp(`the ${name} .* bytes, not ${bytes.length}`),
    );
    await rm(path);
    await expectRefusal(built.reference, "failed_precondition", new RegExp(`the ${name} .* is missing`));
  });

  test("with a manifest of docker's first schema is refused", async () => {
    await using directory = await temporaryDirectory();
    const old = await putBlob(
      directory.path,
      "application/vnd.docker.distribution.manifest.v1+prettyjws",
      Buffer.from("{}"),
    );
    await writeEntryPoints(directory.path, [old]);
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /manifest.v1\+prettyjws"; only OCI manifests/);
  });
});
