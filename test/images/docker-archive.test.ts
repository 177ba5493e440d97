import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openImage } from "../../src/images/resolve.ts";
import { packOciArchive } from "../support/archives.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { mediaTypes, sha256, writeEntryPoints, writeLayout } from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { type Entry, file } from "../support/tar-entries.ts";
import { expectRefusal } from "./refusal.ts";

const platform = "linux/amd64";
const layer = tar([file("hello.txt", "hello")]);
const otherLayer = tar([file("hello.txt", "another")]);
const configOf = (tars: readonly Buffer[], more: object = {}): string =>
  JSON.stringify({
    os: "linux",
    architecture: "amd64",
    rootfs: { type: "layers", diff_ids: tars.map((bytes) => sha256(bytes)) },
    ...more,
  });

const members = [
  file("one.json", configOf([layer])),
  file("two.json", configOf([otherLayer])),
  file("one.tar", layer),
  file("two.tar", otherLayer),
];

async function archiveOf(directory: string, manifest: unknown, more: readonly Entry[] = []): Promise<string> {
  const path = join(directory, "image.tar");
  await writeFile(path, tar([...members, ...more, file("manifest.json", JSON.stringify(manifest))]));
  return `docker-archive:${path}`;
}

async function diffIds(reference: string): Promise<string[]> {
  await using image = await openImage(reference, platform);
  return image.layers.map(({ diffId }) => String(diffId));
}

const one = { Config: "one.json", RepoTags: ["app:v1"], Layers: ["one.tar"] };
const two = { Config: "two.json", RepoTags: ["docker.io/library/app:v1", "two"], Layers: ["two.tar"] };

describe("a tag of a docker archive", () => {
  test("that two images have is refused, and both are named", async () => {
    await using directory = await temporaryDirectory();
    const reference = await archiveOf(directory.path, [one, two]);
    await expectRefusal(
      `${reference}:app:v1`,
      "failed_precondition",
      /2 images have the tag "app:v1"; use the number of one in its place: @0 \(one\.json\), @1 \(two\.json\)$/,
    );
    expect(await diffIds(`${reference}:two`)).toEqual([sha256(otherLayer)]);
    expect(await diffIds(`${reference}:@0`)).toEqual([sha256(layer)]);
  });

  test("that one image has twice is that image's, and then no tag is needed", async () => {
    await using directory = await temporaryDirectory();
    const reference = await archiveOf(directory.path, [one, { ...one, RepoTags: ["app:v1", "app:v2"] }]);
    for (const tag of [":app:v1", ":app:v2", ""]) expect(await diffIds(reference + tag)).toEqual([sha256(layer)]);
  });
});

describe("of a docker archive, only the image that is chosen is judged", () => {
  test("whatever stands beside it", async () => {
    await using directory = await temporaryDirectory();
    const others = [
      null,
      7,
      [],
      {},
      { Config: 7, RepoTags: "x" },
      { Config: "gone", RepoTags: [null, 7], Layers: null },
    ];
    const reference = await archiveOf(directory.path, [...others, one]);
    expect(await diffIds(`${reference}:app:v1`)).toEqual([sha256(layer)]);
    await expectRefusal(
      `${reference}:@0`,
      "failed_precondition",
      /image @0 of its manifest\.json .*\(Config: it is missing\)/,
    );
    await expectRefusal(`${reference}:@4`, "failed_precondition", /image @4 .*\(Config: expected string/);
  });

  test("with null for whatever may be absent", async () => {
    await using directory = await temporaryDirectory();
    const config = file("null.json", configOf([layer], { variant: null, config: null, history: null, created: null }));
    const manifest = [{ Config: "null.json", RepoTags: null, Layers: ["one.tar"], LayerSources: null, Parent: null }];
    expect(await diffIds(await archiveOf(directory.path, manifest, [config]))).toEqual([sha256(layer)]);
  });

  test("and lists that are null are empty", async () => {
    await using directory = await temporaryDirectory();
    const config = file("empty.json", configOf([], { rootfs: { type: "layers", diff_ids: null } }));
    const reference = await archiveOf(directory.path, [{ Config: "empty.json", Layers: null }], [config]);
    await expectRefusal(reference, "failed_precondition", /has no layers: there is nothing to unpack/);
    await expectRefusal(await archiveOf(directory.path, null), "not_found", /the archive holds no image/);
  });
});

describe("as other programs write docker archives", () => {
  test("a configuration that is called by its digest is verified", async () => {
    await using directory = await temporaryDirectory();
    const text = configOf([layer]);
    const name = sha256(Buffer.from(text));
    const manifest = [{ Config: name, RepoTags: ["app:v1"], Layers: ["one.tar"] }];
    expect(await diffIds(await archiveOf(directory.path, manifest, [file(name, text)]))).toEqual([sha256(layer)]);
    const changed = await archiveOf(directory.path, manifest, [file(name, `${text} `)]);
    await expectRefusal(changed, "failed_precondition", /its configuration "sha256:.*" is damaged/);
  });

  test("one without a manifest.json is called old", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "image.tar");
    await writeFile(path, tar([file("repositories", '{"app":{"v1":"0"}}'), file("0/layer.tar", layer)]));
    await expectRefusal(
      `docker-archive:${path}`,
      "failed_precondition",
      /no manifest\.json in it \(docker before 1\.10/,
    );
  });

  test("a layout of uncompressed layers that are called compressed, with an index for platforms that are not there", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "layout");
    const mediaType = mediaTypes.docker.layer("gzip");
    const { images } = await writeLayout(path, [
      { image: { platform, mediaTypes: "docker", layers: [{ content: layer, form: "none", mediaType }] } },
    ]);
    const [image] = images;
    if (image === undefined) throw new Error("no image");
    const manifests = [
      { ...image.manifest, digest: sha256(Buffer.from("gone")), platform: { os: "linux", architecture: "arm64" } },
      { ...image.manifest, platform: { os: "linux", architecture: "amd64" } },
    ];
    const annotations = {
      "io.containerd.image.name": "docker.io/library/app:v1",
      "org.opencontainers.image.ref.name": "v1",
    };
    await writeEntryPoints(path, [
      { ...image.manifest, annotations },
      { ...image.manifest, annotations: { ...annotations, "io.containerd.image.name": "docker.io/library/app:again" } },
    ]);
    const blob = (digest: string) => `blobs/${digest.replace(":", "/")}`;
    const manifest = [
      { Config: blob(image.config.digest), RepoTags: ["app:v1"], Layers: [blob(image.layers[0]?.digest ?? "")] },
    ];
    const archive = join(directory.path, "image.tar");
    await packOciArchive(path, archive, { more: [file("manifest.json", JSON.stringify(manifest))] });
    for (const reference of [
      `oci-archive:${archive}`,
      `oci-archive:${archive}:app:again`,
      `docker-archive:${archive}:app:v1`,
    ])
      expect(await diffIds(reference)).toEqual([sha256(layer)]);
    const index = { schemaVersion: 2, mediaType: mediaTypes.oci.index, manifests };
    await writeFile(join(path, "index.json"), JSON.stringify(index));
    expect(await diffIds(`oci:${path}`)).toEqual([sha256(layer)]);
  });
});
