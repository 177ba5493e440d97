import { describe, expect, test } from "bun:test";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { failedPrecondition, isSnapmillError } from "../../src/domain/errors.ts";
import { parseJson } from "../../src/images/json.ts";
import { openImage } from "../../src/images/resolve.ts";
import { isRoomFor } from "../../src/images/spool.ts";
import { Turns } from "../../src/images/turns.ts";
import { packDockerArchive, packOciArchive } from "../support/archives.ts";
import { temporaryDirectory } from "../support/directories.ts";
import {
  blobPath,
  compressed,
  type Descriptor,
  mediaTypes,
  putJson,
  sha256,
  writeEntryPoints,
  writeImage,
  writeLayout,
} from "../support/images.ts";
import { header, paxHeader, tar } from "../support/tar.ts";
import { bytesOf, file, raw } from "../support/tar-entries.ts";
import { expectRefusal } from "./refusal.ts";

const platform = "linux/amd64";
const type = mediaTypes.oci.index;
const index = (layout: string, manifests: readonly unknown[], more: object = {}) =>
  putJson(layout, type, { schemaVersion: 2, mediaType: type, manifests, ...more });

/** Nested indexes of nothing: `width` times the one below in each, and each is another one. */
async function nestedNothing(layout: string, width: number, depth: number): Promise<Descriptor> {
  let level: Descriptor[] = [await index(layout, [])];
  for (let at = 1; at <= depth; at += 1) {
    const below = level.flatMap((descriptor) => Array.from({ length: width }, () => descriptor));
    level = await Promise.all(
      [0, 1].map((twin) => index(layout, below.slice(0, width), { annotations: { twin: `${at}-${twin}` } })),
    );
  }
  return level[0] as Descriptor;
}

describe("an index that leads nowhere comes to an end", () => {
  test("where everything in it is the same again", async () => {
    await using directory = await temporaryDirectory();
    await writeEntryPoints(directory.path, [await nestedNothing(directory.path, 400, 3)]);
    await expectRefusal(`oci:${directory.path}`, "not_found", /not for linux\/amd64, nor for any other platform/);
  });

  test("where it has more documents than any image", async () => {
    await using directory = await temporaryDirectory();
    const nothings = await Promise.all(
      Array.from({ length: 2001 }, (_, at) => index(directory.path, [], { annotations: { at: String(at) } })),
    );
    await writeEntryPoints(directory.path, [await index(directory.path, nothings)]);
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /more than 2000 documents had to be read/);
  });

  test("where it has more entries than any image, also when the image is among them", async () => {
    await using directory = await temporaryDirectory();
    const { manifest } = await writeImage(directory.path, [{ content: [file("a")] }], { platform });
    const many = await index(
      directory.path,
      Array.from({ length: 200_000 }, () => 0),
    );
    const others = await index(
      directory.path,
      Array.from({ length: 60_000 }, () => 0),
    );
    await writeEntryPoints(directory.path, [await index(directory.path, [manifest, many, others])]);
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /more than 250000 entries/);
  });

  test("where it has more bytes than any image", async () => {
    await using directory = await temporaryDirectory();
    const size = 4 << 20;
    const large: Descriptor[] = [];
    for (let at = 0; at < 33; at += 1) {
      // All of it is read before its digest turns out to be wrong.
      const digest = sha256(Buffer.from(String(at)));
      await mkdir(join(directory.path, "blobs/sha256"), { recursive: true });
      await writeFile(blobPath(directory.path, digest), "");
      await truncate(blobPath(directory.path, digest), size);
      large.push({ mediaType: type, digest, size });
    }
    await writeEntryPoints(directory.path, [await index(directory.path, large)]);
    await expectRefusal(`oci:${directory.path}`, "failed_precondition", /documents have more than 128 MiB together/);
  });

  test("when it is told to, in the middle", async () => {
    await using directory = await temporaryDirectory();
    const many = await index(
      directory.path,
      Array.from({ length: 200_000 }, () => 0),
    );
    await writeEntryPoints(directory.path, [many]);
    const reason = failedPrecondition("enough");
    // Work that never let the event loop have its turn would be over before this.
    const timed = AbortSignal.timeout(0);
    const controller = new AbortController();
    timed.addEventListener("abort", () => controller.abort(reason));
    const opening = openImage(`oci:${directory.path}`, platform, { signal: controller.signal });
    expect(await opening.catch((thrown: unknown) => thrown)).toBe(reason);
  });
});

test("a long loop lets timers have their turn, and ends with the reason of its signal", async () => {
  const reason = failedPrecondition("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 0);
  const turns = new Turns(controller.signal);
  const endless = async () => {
    for (;;) await turns.next();
  };
  expect(await endless().catch((thrown: unknown) => thrown)).toBe(reason);
});

describe("layers that are larger than any are refused before they are read", () => {
  test("in a layout", async () => {
    await using directory = await temporaryDirectory();
    const { config, manifest, layers } = await writeImage(directory.path, [{ content: [file("a")] }], { platform });
    const [{ digest } = { digest: "" }] = layers;
    const size = 2 ** 40 + 1;
    await truncate(blobPath(directory.path, digest), size);
    const layer = { mediaType: mediaTypes.oci.layer("gzip"), digest, size };
    const changed = { schemaVersion: 2, mediaType: manifest.mediaType, config, layers: [layer] };
    await writeEntryPoints(directory.path, [await putJson(directory.path, manifest.mediaType, changed)]);
    await expectRefusal(
      `oci:${directory.path}`,
      "failed_precondition",
      /layers have 1\.0 TiB as stored; the limit is 1\.0 TiB$/,
    );
  });

  test("in an archive", async () => {
    await using directory = await temporaryDirectory();
    const archive = join(directory.path, "image.tar");
    const config = JSON.stringify({ rootfs: { diff_ids: [sha256(Buffer.alloc(0))] } });
    const manifest = JSON.stringify([{ Config: "config", Layers: ["layer"] }]);
    const layer = Buffer.concat([
      header({ name: bytesOf("layer"), typeflag: "0", sizeBytes: 2 ** 41 }),
      Buffer.from("1f8b08", "hex"),
    ]);
    await writeFile(
      archive,
      tar([file("config", config), file("manifest.json", manifest), raw(layer)], { endMarker: false }),
    );
    await truncate(archive, 2 ** 41 + 2 ** 20);
    await expectRefusal(`docker-archive:${archive}`, "failed_precondition", /layers have 2\.0 TiB as stored/);
  });
});

test("an index as large as a mirror's is read", async () => {
  await using directory = await temporaryDirectory();
  const { manifest } = await writeImage(directory.path, [{ content: [file("a")] }], { platform });
  const named = (at: number) => ({
    ...manifest,
    digest: sha256(Buffer.from(String(at))),
    annotations: { "org.opencontainers.image.ref.name": `registry.example/team/image-${at}:v1` },
  });
  const others = Array.from({ length: 60_000 }, (_, at) => named(at));
  await writeEntryPoints(directory.path, [...others, { ...named(-1), digest: manifest.digest }]);
  await using image = await openImage(`oci:${directory.path}:registry.example/team/image--1:v1`, platform);
  expect(String(image.manifestDigest)).toBe(manifest.digest);
});

describe("a JSON document that is a bomb is refused before it is built", () => {
  const bombs: readonly (readonly [what: string, text: string, message: string])[] = [
    ["deep arrays", "[".repeat(2_000_000), "the bomb is nested more than 100 deep"],
    ["deep objects", '{"a":'.repeat(500_000), "the bomb is nested more than 100 deep"],
    ["many arrays", `[${"[],".repeat(1_000_000)}0]`, "the bomb has more than 1000000 values"],
    [
      "many fields in one object",
      `{${'"":0,'.repeat(10_000)}"":0}`,
      "the bomb has an object of more than 10000 fields",
    ],
    ["many objects", `[${'{"":0},'.repeat(1_000_000)}0]`, "the bomb has more than 1000000 values"],
    ["a string without an end", `["${"\\\\".repeat(1_000_000)}`, "the bomb is not valid JSON"],
  ];
  test.each(bombs)("%s", (_what, text, message) => {
    expect(() => parseJson(Buffer.from(text), "the bomb")).toThrow(message);
  });

  test("but not one whose strings look like that", () => {
    const text = '[{"\\""'.repeat(300_000);
    expect(parseJson(Buffer.from(JSON.stringify({ text })), "it")).toEqual({ text });
  });

  test("wherever it stands", async () => {
    await using directory = await temporaryDirectory();
    const bomb = Buffer.from("[".repeat(4_000_000));
    const refused = (reference: string) =>
      expectRefusal(
        reference,
        "failed_precondition",
        /(?:index|configuration|manifest|oci-layout).* is nested more than 100 deep/,
      );
    const { images } = await writeLayout(directory.path, [{ image: { platform, layers: [{ content: [file("a")] }] } }]);
    const archive = join(directory.path, "image.tar");
    await packDockerArchive({ directory: directory.path, images }, archive, { more: [file("manifest.json", bomb)] });
    await refused(`docker-archive:${archive}`);
    for (const mediaType of [type, mediaTypes.oci.manifest]) {
      const digest = sha256(bomb);
      await writeFile(blobPath(directory.path, digest), bomb);
      await writeEntryPoints(directory.path, [{ mediaType, digest, size: bomb.length }]);
      await refused(`oci:${directory.path}`);
    }
    for (const name of ["index.json", "oci-layout"]) {
      await writeFile(join(directory.path, name), bomb);
      await refused(`oci:${directory.path}`);
    }
  });
});

describe("an archive", () => {
  async function expectArchiveRefusal(bytes: Buffer, code: string, message: RegExp): Promise<void> {
    await using directory = await temporaryDirectory();
    const archive = join(directory.path, "image.tar");
    await writeFile(archive, bytes);
    const error = await openImage(`docker-archive:${archive}`, platform, { tempDir: directory.path }).catch(
      (thrown: unknown) => thrown,
    );
    expect(isSnapmillError(error) ? [error.code, error.message] : error).toEqual([
      code,
      expect.stringMatching(message),
    ] as never);
  }

  test("is not decompressed when its headers claim more than there is room for", async () => {
    const claim = header({ name: bytesOf("layer.tar"), typeflag: "0", sizeBytes: 2 ** 45 });
    const bytes = Buffer.concat([claim, Buffer.alloc(2 ** 20)]);
    for (const form of ["gzip", "zstd"] as const)
      await expectArchiveRefusal(
        compressed(bytes, form),
        "resource_exhausted",
        /has 32\.0 TiB or more when it is decompressed.*decompress it yourself$/,
      );
  });

  test("may take as much room as it leaves, and no more than 64 GiB", () => {
    const [mebibyte, gibibyte] = [2 ** 20, 2 ** 30];
    expect(isRoomFor(0, 0, 256 * mebibyte)).toBe(true);
    expect(isRoomFor(0, 0, 255 * mebibyte)).toBe(false);
    expect(isRoomFor(10 * gibibyte, 0, 20 * gibibyte)).toBe(true);
    expect(isRoomFor(10 * gibibyte + 1, 0, 20 * gibibyte)).toBe(false);
    expect(isRoomFor(10 * gibibyte, 10 * gibibyte, 10 * gibibyte)).toBe(true);
    expect(isRoomFor(10 * gibibyte, 10 * gibibyte, 9 * gibibyte)).toBe(false);
    expect(isRoomFor(64 * gibibyte, 0, 1000 * gibibyte)).toBe(true);
    expect(isRoomFor(64 * gibibyte + 1, 0, 1000 * gibibyte)).toBe(false);
  });

  test("that goes on behind its end for ever is refused; what tape programs write there is fine", async () => {
    const empty = [file("manifest.json", "[]")];
    const padded = (lengthBytes: number) => compressed(Buffer.concat([tar(empty), Buffer.alloc(lengthBytes)]), "zstd");
    await expectArchiveRefusal(padded(2 ** 20), "not_found", /holds no image/);
    await expectArchiveRefusal(
      padded(2 ** 25),
      "failed_precondition",
      /goes on for more than 16\.0 MiB behind its tar's end/,
    );
  });

  test("whose stream is damaged, or asks for too much memory, is refused with the reason", async () => {
    const frame = Buffer.from("28b52ffd00a8010000", "hex");
    await expectArchiveRefusal(
      frame,
      "failed_precondition",
      /cannot be decompressed: .* window of 2\.0 GiB; the limit is 128 MiB/,
    );
    const whole = compressed(tar([file("manifest.json", "[]")]), "gzip");
    await expectArchiveRefusal(
      whole.subarray(0, -3),
      "failed_precondition",
      /cannot be decompressed: the gzip stream is damaged or truncated/,
    );
    await expectArchiveRefusal(
      Buffer.concat([whole, frame]),
      "failed_precondition",
      /cannot be decompressed: garbage follows the gzip stream/,
    );
  });

  test("with names that fill the memory is refused, and one that is too long is passed over", async () => {
    const long = "n".repeat(4090);
    const block = header({ name: bytesOf("x"), typeflag: "1" });
    const linked = (at: number) =>
      Buffer.concat([
        paxHeader("x", [
          ["path", `${at}${long}`],
          ["linkpath", long],
        ]),
        block,
      ]);
    const bytes = Buffer.concat(Array.from({ length: 8_300 }, (_, at) => linked(at)));
    await expectArchiveRefusal(bytes, "failed_precondition", /names have more than 67108864 characters together/);
    const passed = [raw(paxHeader("x", [["path", "n".repeat(5000)]])), file("x"), file("manifest.json", "[]")];
    await expectArchiveRefusal(tar(passed), "not_found", /holds no image/);
  });

  test("of headers alone stops when it is told to", async () => {
    await using directory = await temporaryDirectory();
    const archive = join(directory.path, "image.tar");
    const block = paxHeader("g", [["comment", "nothing"]]);
    await writeFile(archive, Buffer.concat(Array.from({ length: 50_000 }, () => block)));
    const reason = failedPrecondition("enough");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 0);
    const opening = openImage(`oci-archive:${archive}`, platform, { signal: controller.signal });
    expect(await opening.catch((thrown: unknown) => thrown)).toBe(reason);
  });

  test("in place is indexed up to its end, whatever follows", async () => {
    await using directory = await temporaryDirectory();
    const layout = join(directory.path, "layout");
    await writeImage(layout, [{ content: [file("a")] }], { platform });
    const archive = join(directory.path, "image.tar");
    await packOciArchive(layout, archive);
    const { size } = Bun.file(archive);
    await truncate(archive, size + 2 ** 36);
    await using image = await openImage(`oci-archive:${archive}`, platform);
    expect(image.layers.length).toBe(1);
  });
});
