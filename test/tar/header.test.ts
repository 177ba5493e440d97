// Room: test. Owns the header block in its dialects.
import { describe, expect, test } from "bun:test";
import { isZeroBlock } from "../../src/tar/blocks.ts";
import { parseHeader } from "../../src/tar/header.ts";
import { header, putChecksum } from "../support/tar.ts";

const plain = (name: string) =>
  header({ name: Buffer.from(name, "latin1"), typeflag: "0", sizeBytes: 5, mode: 0o4755 });

/** A header with more written into it, its checksum made right again. */
function changed(block: Buffer, ...changes: readonly (readonly [number, string | Uint8Array])[]): Buffer {
  const copy = Buffer.from(block);
  for (const [at, bytes] of changes) copy.set(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, at);
  return putChecksum(copy);
}

const magics = { v7: "\0\0\0\0\0\0\0\0", ustar: "ustar\x0000", gnu: "ustar  \0" } as const;

describe("names", () => {
  test("a name that fills its field has no end", () => {
    expect(String(parseHeader(plain("n".repeat(100))).name)).toBe("n".repeat(100));
  });

  test("every byte of a name is kept", () => {
    const name = "\xff\xfe\x80 \n";
    expect(String(parseHeader(plain(name)).name)).toBe(name);
  });

  test("ustar's prefix is a directory in front", () => {
    const block = changed(plain("file"), [257, magics.ustar], [345, "some/prefix"]);
    expect(String(parseHeader(block).name)).toBe("some/prefix/file");
  });

  test("star's prefix ends before its times", () => {
    const prefix = "p".repeat(131);
    const block = changed(
      plain("file"),
      [257, magics.ustar],
      [345, `${prefix}00000001234\x0000000001234\0`],
      [508, "tar\0"],
    );
    expect(String(parseHeader(block).name)).toBe(`${prefix}/file`);
  });

  test("GNU has times there, though old Go wrote a prefix", () => {
    const times = changed(plain("file"), [257, magics.gnu], [345, "00000001234\0"]);
    expect(parseHeader(times)).toMatchObject({ name: "file", atime: { seconds: 0o1234, nanoseconds: 0 } });
    const prefix = changed(plain("file"), [257, magics.gnu], [345, "go/prefix"]);
    expect(parseHeader(prefix)).toMatchObject({ name: "go/prefix/file", atime: undefined });
  });

  test("v7 knows no prefix", () => {
    const block = changed(plain("file"), [257, magics.v7], [345, "rubbish"]);
    expect(String(parseHeader(block).name)).toBe("file");
  });
});

describe("numbers", () => {
  test("a header says mode, owner, size and time", () => {
    const block = changed(plain("f"), [108, "0001750\0"], [116, "0001751\0"], [136, "14371573660\0"]);
    expect(parseHeader(block)).toMatchObject({
      typeFlag: "0",
      mode: 0o4755,
      uid: 1000,
      gid: 1001,
      sizeBytes: 5,
      mtime: { seconds: 0o14371573660, nanoseconds: 0 },
    });
  });

  test("a time before 1970 and an owner beyond octal are binary", () => {
    const minus = Buffer.alloc(12, 0xff);
    const owner = Buffer.from("8000000080000000", "hex");
    expect(parseHeader(changed(plain("f"), [136, minus], [108, owner]))).toMatchObject({
      mtime: { seconds: -1, nanoseconds: 0 },
      uid: 2 ** 31,
    });
  });

  test("a negative size is refused", () => {
    expect(() => parseHeader(changed(plain("f"), [124, Buffer.alloc(12, 0xff)]))).toThrow("negative");
  });

  test("rubbish in the device fields of a file is ignored", () => {
    expect(parseHeader(changed(plain("f"), [329, "rubbish!"])).deviceMajor).toBe(0);
  });
});

describe("the checksum", () => {
  test("a sum of signed characters is a sum", () => {
    const block = plain("\xff\xe9 name");
    const signed = block.reduce((sum, byte, at) => {
      if (at >= 148 && at < 156) return sum + 0x20;
      return sum + (byte > 127 ? byte - 256 : byte);
    }, 0);
    block.write(`${signed.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    expect(String(parseHeader(block).name)).toBe("\xff\xe9 name");
  });

  test("any changed byte is noticed", () => {
    for (let at = 0; at < 512; at++) {
      if (at >= 148 && at < 156) continue;
      const block = plain("name");
      block[at] = (block[at] ?? 0) ^ 0x01;
      expect(() => parseHeader(block)).toThrow("checksum");
    }
  });

  test("a block of zeroes is known by any byte that is not", () => {
    const block = Buffer.alloc(512);
    expect(isZeroBlock(block)).toBe(true);
    block[511] = 1;
    expect(isZeroBlock(block)).toBe(false);
  });
});
