import { describe, expect, test } from "bun:test";
import { mkdir, statfs, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { failedPrecondition, isSnapmillError } from "../../src/domain/errors.ts";
import { openImage } from "../../src/images/resolve.ts";
import { isRoomFor } from "../../src/images/spool.ts";
import { mountAt, unmount } from "../../src/system/mount/mounts.ts";
import { packOciArchive } from "../support/archives.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { compressed, writeImage } from "../support/images.ts";
import { header, paxHeader, tar } from "../support/tar.ts";
import { bytesOf, file, raw } from "../support/tar-entries.ts";

const platform = "linux/amd64";

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

  test("that grows until there is too little room is given up, and leaves nothing", async () => {
    await using directory = await temporaryDirectory();
    const tempDir = join(directory.path, "small");
    await mkdir(tempDir);
    await mountAt("none", tempDir, "tmpfs", ["size=300m"]);
    try {
      const archive = join(directory.path, "image.tar.zst");
      // No header claims much, and there is none too many.
      const part = compressed(tar([file("part", Buffer.alloc(2 ** 20))], { endMarker: false }), "zstd");
      await writeFile(archive, Buffer.concat(Array.from({ length: 200 }, () => part)));
      const error = await openImage(`docker-archive:${archive}`, platform, { tempDir }).catch(
        (thrown: unknown) => thrown,
      );
      expect(isSnapmillError(error, "resource_exhausted") ? error.message : error).toMatch(
        /has (?:6|7)\d\.\d MiB or more when it is decompressed, and .*\/small has 2\d\d MiB free: .*make room there, or decompress it yourself$/,
      );
      const { blocks, bfree } = await statfs(tempDir);
      expect(bfree).toBe(blocks);
    } finally {
      await unmount(tempDir);
    }
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
      /continues for more than 16\.0 MiB after its tar's end/,
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
    const bytes = Buffer.concat(Array.from({ length: 4_200 }, (_, at) => linked(at)));
    await expectArchiveRefusal(bytes, "failed_precondition", /names have more than 33554432 bytes together/);
    const passed = [raw(paxHeader("x", [["path", "n".repeat(5000)]])), file("x"), file("manifest.json", "[]")];
    await expectArchiveRefusal(tar(passed), "not_found", /holds no image/);
  });

  test("with extended headers that take hours to read is refused", async () => {
    const part = compressed(paxHeader("x", [["comment", "c".repeat(1_000_000)]]), "zstd");
    const bytes = Buffer.concat(Array.from({ length: 68 }, () => part));
    await expectArchiveRefusal(bytes, "failed_precondition", /extended headers of more than 64\.0 MiB together/);
  });

  test("of headers alone stops when it is cancelled", async () => {
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
