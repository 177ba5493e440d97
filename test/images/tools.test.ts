import { expect } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatPlatform, hostPlatform } from "../../src/images/platform.ts";
import type { FileTransport } from "../../src/images/reference.ts";
import { openImage } from "../../src/images/resolve.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { packDockerArchive } from "../support/archives.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeImage, writeLayout } from "../support/images.ts";
import { file } from "../support/tar-entries.ts";
import { testWith } from "../support/tools.ts";
import { expectRefusal } from "./refusal.ts";

const platform = formatPlatform(hostPlatform());
const skopeo = (...args: string[]) => runCommand("skopeo", ["--insecure-policy", ...args]);
const umoci = (...args: string[]) => runCommand("umoci", args);

const layers = [
  { content: [file("one", "1")], form: "gzip" },
  { content: [file("two", "2")], form: "gzip" },
] as const;

async function diffIds(reference: string): Promise<string[]> {
  await using image = await openImage(reference, platform);
  return image.layers.map(({ diffId }) => String(diffId));
}

testWith(["umoci"], "an image that umoci made is opened, tag by tag", async () => {
  await using directory = await temporaryDirectory();
  const layout = join(directory.path, "layout");
  await umoci("init", "--layout", layout);
  const empty = await openImage(`oci:${layout}`, platform).catch((thrown: unknown) => thrown);
  expect(String(empty)).toMatch(/the layout holds no image/);
  await umoci("new", "--image", `${layout}:base`);
  const bare = await openImage(`oci:${layout}:base`, platform).catch((thrown: unknown) => thrown);
  expect(String(bare)).toMatch(/has no layers: there is nothing to unpack/);
  const content = join(directory.path, "content");
  await mkdir(content);
  await writeFile(join(content, "hello.txt"), "hello\n");
  await umoci("insert", "--image", `${layout}:base`, "--tag", "first", content, "/opt");
  await umoci("insert", "--image", `${layout}:first`, "--tag", "second", "--whiteout", "/opt/hello.txt");
  const first = await diffIds(`oci:${layout}:first`);
  const second = await diffIds(`oci:${layout}:second`);
  expect([first.length, second.length]).toEqual([1, 2]);
  expect(second[0]).toBe(first[0] ?? "");
});

testWith(
  ["skopeo"],
  "what skopeo copies to an OCI archive, a docker archive and a layout has the same layers",
  async () => {
    await using directory = await temporaryDirectory();
    const { reference } = await writeImage(join(directory.path, "layout"), layers);
    const expected = await diffIds(reference);
    const targets = {
      "oci-archive": `oci-archive:${directory.path}/oci.tar:v1`,
      "docker-archive": `docker-archive:${directory.path}/docker.tar:quay.io/me/app:v1`,
      oci: `oci:${directory.path}/copy:quay.io/me/app:v1`,
    } satisfies Readonly<Record<FileTransport, string>>;
    for (const target of Object.values(targets)) {
      await skopeo("copy", reference, target);
      expect(await diffIds(target)).toEqual(expected);
    }
    await skopeo("copy", reference, `dir:${directory.path}/dir`);
    await expectRefusal(`oci:${directory.path}/dir`, "failed_precondition", /skopeo's own form: copy it first/);
  },
);

testWith(["skopeo"], "what skopeo recompresses with zstd has the same diff IDs", async () => {
  await using directory = await temporaryDirectory();
  const { reference } = await writeImage(join(directory.path, "layout"), layers);
  const target = `oci:${directory.path}/zstd:v1`;
  await skopeo("copy", "--dest-compress-format", "zstd", reference, target);
  await using image = await openImage(target, platform);
  expect(image.layers.map(({ compression }) => compression)).toEqual(["zstd", "zstd"]);
  expect(image.layers.map(({ diffId }) => String(diffId))).toEqual(await diffIds(reference));
});

testWith(["skopeo"], "the test images are images in skopeo's eyes too", async () => {
  await using directory = await temporaryDirectory();
  const layout = await writeLayout(join(directory.path, "layout"), [
    { tag: "docker", image: { mediaTypes: "docker", layers } },
    { tag: "multi", image: [{ layers }, { platform: "linux/s390x", layers }] },
  ]);
  const archive = join(directory.path, "docker.tar");
  await packDockerArchive(layout, archive, { repoTags: [["app:v1"]], linkedLayers: true });
  const sources = [`oci:${layout.directory}:multi`, `docker-archive:${archive}:app:v1`];
  for (const [index, source] of sources.entries()) {
    const target = `oci:${directory.path}/copy${index}:x`;
    await skopeo("copy", source, target);
    expect(await diffIds(target)).toEqual(await diffIds(source));
  }
});
