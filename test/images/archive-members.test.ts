// Room: test. Owns that archives are read by the same rules as layers: the members' names, in every dialect of tar.
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openImage } from "../../src/images/resolve.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { sha256 } from "../support/images.ts";
import { header, paxHeader, putChecksum, tar } from "../support/tar.ts";
import { bytesOf, file, raw } from "../support/tar-entries.ts";

/** `block` with a prefix for its name, in the dialect that `magic` names; star has a mark at the block's end as well. */
function prefixed(block: Buffer, magic: string, prefix: string, end = ""): Buffer {
  const copy = Buffer.from(block);
  copy.write(magic, 257, "latin1");
  copy.write(prefix, 345, "latin1");
  copy.write(end, 508, "latin1");
  return putChecksum(copy);
}

const config = (diffIds: readonly string[]) =>
  JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: diffIds } });

test("an archive's members have the names that a layer's entries would have", async () => {
  await using directory = await temporaryDirectory();
  const archive = join(directory.path, "image.tar");
  const layers = [0, 1, 2, 3].map((index) => tar([file("hello.txt", `hello ${index}`)]));
  const [inStar, inOldGo, inPax, plain] = layers.map((bytes) => [
    header({ name: bytesOf("layer"), typeflag: "0", sizeBytes: bytes.length }),
    bytes,
  ]);
  const star = "s".repeat(131);
  const names = [`${star}/layer`, "old-go/layer", "caf\u00e9", "layer"];
  const entries = [
    prefixed(inStar?.[0] ?? Buffer.alloc(0), "ustar\x0000", `${star}00000001234\0`, "tar\0"),
    inStar?.[1],
    prefixed(inOldGo?.[0] ?? Buffer.alloc(0), "ustar  \0", "old-go"),
    inOldGo?.[1],
    paxHeader("x", [["path", "caf\u00e9"]]),
    ...(inPax ?? []),
    // A global record names every entry that follows, unless the entry's own, empty one cancels it.
    paxHeader("g", [["path", "of all"]]),
    paxHeader("x", [["path", ""]]),
    ...(plain ?? []),
    paxHeader("g", [["path", ""]]),
  ];
  await writeFile(
    archive,
    tar([
      ...entries.map((bytes) => raw(bytes ?? Buffer.alloc(0))),
      file("config", config(layers.map(sha256))),
      file("manifest.json", JSON.stringify([{ Config: "config", Layers: names }])),
    ]),
  );
  await using image = await openImage(`docker-archive:${archive}`, "linux/amd64");
  const stored = await Bun.file(archive).bytes();
  const found = image.layers.map(({ blob: { offsetBytes, lengthBytes } }) =>
    sha256(Buffer.from(stored.subarray(offsetBytes, offsetBytes + lengthBytes))),
  );
  expect(found).toEqual(layers.map(sha256));
});
