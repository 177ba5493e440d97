import { describe, expect, test } from "bun:test";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { failedPrecondition } from "../../src/domain/errors.ts";
import { parseJson } from "../../src/images/json.ts";
import { LoopYield } from "../../src/images/loop-yield.ts";
import { openImage } from "../../src/images/resolve.ts";
import { packDockerArchive } from "../support/archives.ts";
import { temporaryDirectory } from "../support/directories.ts";
import {
  blobPath,
  type Descriptor,
  mediaTypes,
  putJson,
  sha256,
  writeEntryPoints,
  writeImage,
  writeLayout,
} from "../support/images.ts";
import { header, tar } from "../support/tar.ts";
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

  test("when it is cancelled, in the middle", async () => {
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
  const turns = new LoopYield(controller.signal);
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
