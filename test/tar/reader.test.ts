// Room: test. Owns the walk through a tar: what the reader makes of headers that belong together, and of its end.
import { describe, expect, test } from "bun:test";
import type { TarEntry } from "../../src/tar/entry.ts";
import { TarReader } from "../../src/tar/reader.ts";
import { header, paddingOf, paxHeader, putChecksum, tar } from "../support/tar.ts";
import { directory, file, globalPax, hardLink, raw, sparse, sparseForms, symlink } from "../support/tar-entries.ts";

interface Read {
  readonly entry: TarEntry;
  readonly parts: (readonly [number, string])[];
}

function read(bytes: Uint8Array, chunkBytes = 700): Read[] {
  const entries: Read[] = [];
  let open = false;
  const reader = new TarReader({
    begin: (entry) => {
      expect(open).toBe(false);
      open = true;
      entries.push({ entry, parts: [] });
    },
    data: (chunk, start, end, offsetBytes) => {
      const parts = entries.at(-1)?.parts;
      const content = Buffer.from(chunk.subarray(start, end)).toString("latin1");
      const last = parts?.at(-1);
      if (last !== undefined && last[0] + last[1].length === offsetBytes)
        parts?.splice(-1, 1, [last[0], last[1] + content]);
      else parts?.push([offsetBytes, content]);
    },
    finish: () => {
      expect(open).toBe(true);
      open = false;
    },
  });
  for (let at = 0; at < bytes.length; at += chunkBytes) reader.push(bytes.subarray(at, at + chunkBytes));
  reader.end();
  expect(open).toBe(false);
  return entries;
}

const names = (entries: readonly Read[]): string[] => entries.map(({ entry }) => String(entry.name));
const only = (bytes: Uint8Array): Read => {
  const [first, ...rest] = read(bytes);
  expect(rest).toEqual([]);
  if (first === undefined) throw new Error("no entry was read");
  return first;
};
const block = (name: string, typeflag: string, more: { sizeBytes?: number; linkName?: string } = {}): Buffer =>
  header({
    name: Buffer.from(name),
    typeflag,
    sizeBytes: more.sizeBytes ?? 0,
    linkName: Buffer.from(more.linkName ?? ""),
  });

describe("extended headers", () => {
  test("a PAX header speaks of the next entry alone, a global one of all that follow", () => {
    const entries = read(
      tar([
        file("before"),
        globalPax({ uid: "7", "SCHILY.xattr.user.g": "all", path: "named-by-all" }),
        file("one", "", { pax: { path: "renamed", uid: "8" } }),
        file("two", "", { pax: { path: "", uid: "" } }),
        globalPax({ path: "" }),
        file("three"),
      ]),
    );
    expect(entries.map(({ entry }) => [String(entry.name), entry.uid, entry.xattrs.size])).toEqual([
      ["before", 0, 0],
      ["renamed", 8, 1],
      ["two", 0, 1],
      ["three", 7, 1],
    ]);
  });

  test("a PAX size is the size, also where the header's field cannot hold it", () => {
    const bytes = tar([
      raw(
        Buffer.concat([
          paxHeader("x", [["size", "600"]]),
          block("f", "0", { sizeBytes: 3 }),
          Buffer.alloc(600, "x"),
          paddingOf(600),
        ]),
      ),
      file("next"),
    ]);
    const entries = read(bytes);
    expect(names(entries)).toEqual(["f", "next"]);
    expect(entries[0]?.parts).toEqual([[0, "x".repeat(600)]]);
  });

  test("global PAX headers may be many, but their records are at most 256, and 256 KiB", () => {
    const entries = (headers: number, records: number, valueBytes: number) =>
      read(
        tar([
          ...Array.from({ length: headers }, (_, index) =>
            globalPax({ [`k${index % records}`]: "v".repeat(valueBytes), "SCHILY.xattr.user.g": String(index) }),
          ),
          file("f", "", { xattrs: { "user.own": "1" } }),
        ]),
      );
    const [found] = entries(1000, 255, 500);
    expect(
      [...(found?.entry.xattrs ?? [])].map(([key, value]) => `${key}=${Buffer.from(value).toString()}`).sort(),
    ).toEqual(["user.g=999", "user.own=1"]);
    expect(() => entries(300, 300, 10)).toThrow("more than 256 global PAX records");
    expect(() => entries(100, 100, 3000)).toThrow("262144 bytes");
  });

  test("a negative owner is what chown makes of it; minus one, which would keep another's, is refused", () => {
    const owned = (uid: bigint, pax: Record<string, string> = {}) => {
      const block = header({ name: Buffer.from("f"), typeflag: "0", uid: Number(uid), gid: Number(uid) });
      const records = Object.entries(pax);
      const parts = [...(records.length > 0 ? [paxHeader("x", records)] : []), block, Buffer.alloc(1024)];
      const { uid: found, gid } = only(Buffer.concat(parts)).entry;
      return [found, gid];
    };
    expect(owned(-2n)).toEqual([4_294_967_294, 4_294_967_294]);
    expect(owned(0n, { uid: "-2", gid: "-2147483648" })).toEqual([4_294_967_294, 2_147_483_648]);
    for (const uid of ["-1", "4294967295", "-2147483649", "9007199254740991"]) {
      expect(() => owned(0n, { uid })).toThrow(`its uid ${uid} is not`);
    }
    expect(() => owned(-1n)).toThrow("its uid -1 is not");
  });

  test("GNU's long names and targets are for the next entry, and end at their NUL", () => {
    const long = `${"d".repeat(90)}/${"e".repeat(90)}`;
    const { entry } = only(tar([symlink(long, "t".repeat(150), { longNames: "gnu" })]));
    expect(entry).toMatchObject({ type: "symlink", name: long, target: "t".repeat(150) });
  });

  test("one that is longer than any real one is refused before it is read", () => {
    for (const typeflag of ["x", "g", "L", "K"]) {
      expect(() => read(block("x", typeflag, { sizeBytes: 2 ** 33 }))).toThrow("longer than");
    }
    for (const [typeflag, limit] of [
      ["x", 4 * 2 ** 20],
      ["g", 2 ** 20],
    ] as const) {
      expect(() => read(block("x", typeflag, { sizeBytes: limit }))).toThrow("truncated");
      expect(() => read(block("x", typeflag, { sizeBytes: limit + 1 }))).toThrow(`longer than ${limit}`);
    }
  });

  test("one with no entry behind it is truncated", () => {
    const whole = tar([file("f", "", { pax: { comment: "x" } })]);
    expect(() => read(whole.subarray(0, 1024))).toThrow("truncated");
  });
});

describe("entries without content", () => {
  test("have none, whatever their size field says", () => {
    for (const typeflag of ["1", "2", "3", "4", "5", "6"]) {
      const bytes = Buffer.concat([
        block("odd", typeflag, { sizeBytes: 4096, linkName: "t" }),
        tar([file("next", "n")]),
      ]);
      const entries = read(bytes);
      expect(names(entries)).toEqual(["odd", "next"]);
      expect(entries[0]?.parts).toEqual([]);
    }
  });

  test("a file of an old archive whose name ends in a slash is a directory", () => {
    expect(only(Buffer.concat([block("d/", "\0"), Buffer.alloc(1024)])).entry.type).toBe("directory");
    expect(only(Buffer.concat([block("f", "\0"), Buffer.alloc(1024)])).entry.type).toBe("file");
    expect(only(Buffer.concat([block("f", "7"), Buffer.alloc(1024)])).entry.type).toBe("file");
  });

  test("types that have no place in a layer are refused by name", () => {
    for (const typeflag of ["M", "V", "D", "8", "~"]) {
      expect(() => read(block("odd", typeflag))).toThrow(/entry "odd".*no place in a layer/);
    }
  });
});

describe("sparse files", () => {
  const extents = Array.from({ length: 30 }, (_, index) => ({
    offsetBytes: index * 10_240,
    content: Buffer.alloc(512, String.fromCharCode(65 + index)),
  }));
  for (const form of sparseForms) {
    test(`in the form ${form} are read with every part in its place`, () => {
      for (const chunkBytes of [1, 512, 100_000]) {
        const [first, next] = read(tar([sparse("holes", 400_000, extents, form), file("next", "n")]), chunkBytes);
        expect(first?.entry).toMatchObject({ type: "file", name: "holes", sizeBytes: 400_000 });
        expect(first?.parts).toEqual(extents.map(({ offsetBytes, content }) => [offsetBytes, content.toString()]));
        expect(String(next?.entry.name)).toBe("next");
      }
    });

    test(`in the form ${form} may be one hole`, () => {
      const [first, next] = read(tar([sparse("hole", 1_000_000, [], form), file("next", "n")]));
      expect(first).toMatchObject({ entry: { type: "file", sizeBytes: 1_000_000 }, parts: [] });
      expect(next?.parts).toEqual([[0, "n"]]);
    });
  }

  const withMap = (map: string, size: string, stored: number) =>
    Buffer.concat([
      paxHeader("x", [
        ["GNU.sparse.size", size],
        ["GNU.sparse.map", map],
      ]),
      block("s", "0", { sizeBytes: stored }),
      Buffer.alloc(stored),
      paddingOf(stored),
      Buffer.alloc(1024),
    ]);

  for (const [what, map, size, stored] of [
    ["overlap", "0,512,100,512", "4096", 1024],
    ["go back", "1024,512,0,512", "4096", 1024],
    ["exceed the file", "4000,512", "4096", 512],
    ["are more than is stored", "0,512,1024,512", "4096", 512],
    ["are less than is stored", "0,512", "4096", 1024],
    ["end half-way", "0,512,1024", "4096", 512],
    ["are not numbers", "0,x", "4096", 0],
    ["are negative", "-1,1", "4096", 1],
  ] as const) {
    test(`whose parts ${what} are refused`, () => {
      expect(() => read(withMap(map, size, stored))).toThrow(/entry "s".*sparse/);
    });
  }

  test("of more than a hundred thousand parts are refused, in whatever form", () => {
    expect(() => read(withMap("0,0,".repeat(100_001).slice(0, -1), "4096", 0), 65_536)).toThrow(
      "more than 100000 parts",
    );
    const extension = Buffer.alloc(512);
    for (let at = 0; at < 504; at += 12) extension.write("00000000000\0", at, "latin1");
    extension[504] = 1;
    const old = header({ name: Buffer.from("s"), typeflag: "S" });
    old[482] = 1;
    const endless = Buffer.concat([putChecksum(old), ...Array.from({ length: 4800 }, () => extension)]);
    expect(() => read(endless, 65_536)).toThrow("more than 100000 parts");
  });

  test("of format 1.0 with a map that never ends, or claims too much, are refused", () => {
    const of = (content: Buffer) =>
      Buffer.concat([
        paxHeader("x", [
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.realsize", "10"],
        ]),
        block("s", "0", { sizeBytes: content.length }),
        content,
        Buffer.alloc(1024),
      ]);
    expect(() => read(of(Buffer.alloc(1024, "1")))).toThrow("malformed");
    expect(() => read(of(Buffer.from("2\n0\n5\n".padEnd(512, "\0"))))).toThrow("sparse map");
    expect(() => read(of(Buffer.from("99999999999\n".padEnd(512, "0\n"))))).toThrow("parts");
    expect(() => read(of(Buffer.alloc(0)))).toThrow("longer than its content");
  });

  test("of a format that is not known are refused", () => {
    const bytes = Buffer.concat([
      paxHeader("x", [
        ["GNU.sparse.major", "2"],
        ["GNU.sparse.minor", "1"],
      ]),
      block("s", "0"),
    ]);
    expect(() => read(bytes)).toThrow("format 2.1");
  });
});

describe("the end of an archive", () => {
  const whole = tar([directory("d"), file("d/f", "content"), hardLink("h", "d/f")]);
  const body = tar([directory("d"), file("d/f", "content"), hardLink("h", "d/f")], { endMarker: false });

  test("needs no marker", () => expect(names(read(body))).toEqual(names(read(whole))));

  test("may lack half its marker, or the padding before it", () => {
    expect(names(read(Buffer.concat([body, Buffer.alloc(512)])))).toHaveLength(3);
    const unpadded = tar([file("f", "content")], { endMarker: false }).subarray(0, 512 + 7);
    expect(only(unpadded).parts).toEqual([[0, "content"]]);
  });

  test("of an empty archive is its beginning", () => {
    expect(read(Buffer.alloc(0))).toEqual([]);
    expect(read(Buffer.alloc(1024))).toEqual([]);
  });

  test("is the end, whatever follows", () => {
    expect(names(read(Buffer.concat([whole, Buffer.alloc(5000, "rubbish"), whole])))).toHaveLength(3);
  });

  test("is not a lone block of zeroes with an entry behind it", () => {
    expect(() => read(Buffer.concat([body, Buffer.alloc(512), body]))).toThrow("block of zeroes");
  });

  test("inside a header or content is a truncation, named with place and entry", () => {
    expect(() => read(body.subarray(0, 512 + 100))).toThrow("truncated");
    expect(() => read(body.subarray(0, 1024 + 3))).toThrow(/tar at byte 1027, entry "d\/f": .*truncated/);
  });
});

test("an entry without a name is refused", () => {
  expect(() => read(putChecksum(block("", "0")))).toThrow("its name is empty");
});
