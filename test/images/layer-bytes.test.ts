import { describe, expect, test } from "bun:test";
import { openImage } from "../../src/images/resolve.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { type BlobForm, mediaTypes, writeImage } from "../support/images.ts";
import { file } from "../support/tar-entries.ts";

const docker = "application/vnd.docker.image.rootfs.diff.tar";
const content = [file("hello.txt", "hello")];

describe("how a layer is compressed is what its bytes say", () => {
  const stored: readonly (readonly [mediaType: string, form: BlobForm, compression: string])[] = [
    [docker, "gzip", "gzip"],
    [docker, "zstd", "zstd"],
    [docker, "none", "none"],
    [`${docker}.gzip`, "none", "none"],
    [mediaTypes.oci.layer("gzip"), "none", "none"],
    [mediaTypes.oci.layer("gzip"), "zstd", "zstd"],
    [mediaTypes.oci.layer("zstd"), "gzip", "gzip"],
    [mediaTypes.oci.layer("none"), "gzip", "gzip"],
  ];
  test.each(stored)("%s with the bytes of %s", async (mediaType, form, compression) => {
    await using directory = await temporaryDirectory();
    const { reference } = await writeImage(directory.path, [{ content, form, mediaType }], { platform: "linux/amd64" });
    await using image = await openImage(reference, "linux/amd64");
    expect(image.layers.map((layer) => String(layer.compression))).toEqual([compression]);
  });

  test.each(["none", "gzip", "zstd"] as const)("nothing at all is an empty layer, called %s", async (form) => {
    await using directory = await temporaryDirectory();
    const mediaType = mediaTypes.oci.layer(form);
    const empty = { content: Buffer.alloc(0), form: "none", mediaType } as const;
    const { reference } = await writeImage(directory.path, [empty], { platform: "linux/amd64" });
    await using image = await openImage(reference, "linux/amd64");
    expect(image.layers).toMatchObject([{ compression: "none", blob: { lengthBytes: 0 } }]);
  });

  test("a tar is one although its first name begins as another format does", async () => {
    await using directory = await temporaryDirectory();
    const names = ["BZh9", "\u001f\u008b", "(\u00b5/\u00fd"];
    const layers = names.map((name) => ({ content: [file(Buffer.from(name, "latin1"))], form: "none" as const }));
    const { reference } = await writeImage(directory.path, layers, { platform: "linux/amd64" });
    await using image = await openImage(reference, "linux/amd64");
    expect(image.layers.map(({ compression }) => compression)).toEqual(["none", "none", "none"]);
  });
});
