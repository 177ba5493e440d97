// Room: test. Owns decompression: complete streams are accepted, and nothing else is.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { isSnapmillError } from "../../src/domain/errors.ts";
import { decompress } from "../../src/images/decompress.ts";
import type { Compression } from "../../src/images/image.ts";
import { loadIsal } from "../../src/system/inflate/isal.ts";
import { BlobReader } from "../../src/unpack/blob.ts";
import { isOpen } from "../unpack/scratch.ts";

setDefaultTimeout(60_000);

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-decompress-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array): string => `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

/** More than two chunks, not too easy to compress. */
const content = Buffer.alloc(2_700_001);
for (let at = 0; at < content.length; at++) content[at] = (Math.imul(at, 2_654_435_761) >>> 13) & 63;
const more = Buffer.from("a second stream behind the first");

const gzip = gzipSync(content);
const zstd = zstdCompressSync(content);
const checked = zstdCompressSync(content, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
const endlessZeroes = Buffer.alloc(3_000_000);

const isal = loadIsal();
const inflaters = { "node:zlib": undefined, "ISA-L": isal.kind === "usable" ? isal.inflater() : undefined };

test("the set-up has brought ISA-L, and it passes its self-test", () => {
  expect(isal).toMatchObject({ kind: "usable", version: expect.stringMatching(/^2\.\d+$/) });
});

/** Reads the blob from the middle of a file, in chunks of at most `chunkBytes`. */
async function result(
  bytes: Uint8Array,
  compression: Compression,
  { chunkBytes = Number.POSITIVE_INFINITY, library = "node:zlib" }: Way = {},
) {
  const path = join(directory, crypto.randomUUID());
  await writeFile(path, Buffer.concat([Buffer.from("before"), bytes, Buffer.from("behind")]));
  const blob = new BlobReader({ path, offsetBytes: 6, lengthBytes: bytes.length });
  const hasher = new Bun.CryptoHasher("sha256");
  const stream = chunkBytes === Number.POSITIVE_INFINITY ? blob.chunks() : split(blob.chunks(), chunkBytes);
  for await (const chunk of decompress(stream, compression, inflaters[library])) hasher.update(chunk);
  // Also what follows the stream belongs to the blob.
  expect(blob.readBytes).toBe(bytes.length);
  expect(String(blob.digest())).toBe(sha256(bytes));
  return `sha256:${hasher.digest("hex")}`;
}

async function* split(chunks: AsyncIterable<Uint8Array>, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += chunkBytes) yield chunk.subarray(at, at + chunkBytes);
  }
}

interface Way {
  readonly chunkBytes?: number;
  readonly library?: keyof typeof inflaters;
}

/** A frame of nothing that begins with these bytes behind its magic number. */
function frameWith(header: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from("28b52ffd", "hex"), Buffer.from(header), Buffer.from([1, 0, 0])]);
}

const both = Buffer.concat([content, more]);
const whole: readonly (readonly [string, Compression, Uint8Array, Uint8Array])[] = [
  ["no compression", "none", content, content],
  ["an empty blob without compression", "none", Buffer.alloc(0), Buffer.alloc(0)],
  ["gzip", "gzip", gzip, content],
  ["gzip of nothing", "gzip", gzipSync(Buffer.alloc(0)), Buffer.alloc(0)],
  ["gzip in several members", "gzip", Buffer.concat([gzip, gzipSync(more)]), both],
  ["gzip padded with zeroes", "gzip", Buffer.concat([gzip, endlessZeroes]), content],
  ["zstd", "zstd", zstd, content],
  ["zstd with a checksum", "zstd", checked, content],
  ["zstd of nothing", "zstd", zstdCompressSync(Buffer.alloc(0)), Buffer.alloc(0)],
  [
    "zstd in several frames, some to be skipped",
    "zstd",
    Buffer.concat([skippable, zstd, skippable, zstdCompressSync(more), skippable]),
    both,
  ],
  ["zstd with a window of 128 MiB", "zstd", frameWith([0x00, (27 - 10) << 3]), Buffer.alloc(0)],
  ["zstd with 256 bytes in one segment", "zstd", zstdCompressSync(content.subarray(0, 256)), content.subarray(0, 256)],
  ["zstd of one repeated byte", "zstd", zstdCompressSync(endlessZeroes), endlessZeroes],
];
const broken: readonly (readonly [string, Compression, Uint8Array, string])[] = [
  ["gzip cut off in its trailer", "gzip", gzip.subarray(0, -3), "gzip stream is damaged or truncated"],
  ["gzip cut off in its middle", "gzip", gzip.subarray(0, gzip.length >> 1), "gzip stream is damaged or truncated"],
  ["gzip cut off in its second member", "gzip", Buffer.concat([gzip, gzipSync(more).subarray(0, 20)]), "truncated"],
  ["an empty blob as gzip", "gzip", Buffer.alloc(0), "truncated"],
  ["gzip with a wrong checksum", "gzip", flipped(gzip, gzip.length - 6), "gzip stream is damaged"],
  ["gzip with text behind it", "gzip", Buffer.concat([gzip, Buffer.from("text")]), "garbage follows the gzip stream"],
  [
    "gzip with text behind its second member",
    "gzip",
    Buffer.concat([gzip, gzipSync(more), Buffer.from("GARBAGE".repeat(30))]),
    "garbage follows the gzip stream",
  ],
  [
    "gzip with text behind its padding",
    "gzip",
    Buffer.concat([gzip, endlessZeroes, Buffer.from("text")]),
    "garbage follows",
  ],
  ["zstd as gzip", "gzip", zstd, "gzip stream is damaged"],
  ["zstd cut off by one byte", "zstd", zstd.subarray(0, -1), "zstd stream is truncated"],
  ["zstd cut off in its middle", "zstd", zstd.subarray(0, zstd.length >> 1), "zstd stream is truncated"],
  ["zstd cut off in its checksum", "zstd", checked.subarray(0, -2), "zstd stream is truncated"],
  ["zstd cut off in its second frame", "zstd", Buffer.concat([zstd, zstd.subarray(0, 3)]), "zstd stream is truncated"],
  ["an empty blob as zstd", "zstd", Buffer.alloc(0), "zstd stream is truncated"],
  ["zstd with a wrong checksum", "zstd", flipped(checked, checked.length - 2), "zstd stream is damaged"],
  ["zstd with text behind it", "zstd", Buffer.concat([zstd, Buffer.from("text")]), "garbage follows the zstd stream"],
  ["gzip as zstd", "zstd", gzip, "not a zstd stream"],
  [
    "zstd with a window of 2 GiB",
    "zstd",
    frameWith([0x00, (31 - 10) << 3]),
    "a window of 2.0 GiB; the limit is 128 MiB",
  ],
  ["zstd with a window of 144 MiB", "zstd", frameWith([0x00, ((27 - 10) << 3) | 1]), "needs a window of 144 MiB"],
  ["zstd with 1 GiB in one segment", "zstd", frameWith([0xa0, 0, 0, 0, 0x40]), "needs a window of 1.0 GiB"],
  ["zstd with 2^60 bytes in one segment", "zstd", frameWith([0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10]), "needs a window of"],
  ["zstd with a dictionary", "zstd", frameWith([0x01, 0x38, 7]), "needs a dictionary"],
  [
    "zstd with such a window in its second frame",
    "zstd",
    Buffer.concat([zstd, frameWith([0x00, (31 - 10) << 3])]),
    "a window of 2.0 GiB",
  ],
];

function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x10;
  return copy;
}

async function failureOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => "nothing failed",
    (reason: unknown) => reason,
  );
  if (!isSnapmillError(error, "invalid_argument")) throw error;
  return error.message;
}

const ways: readonly (readonly [string, Way])[] = [
  ["in whole chunks", {}],
  ["in small chunks", { chunkBytes: 4093 }],
  ["by ISA-L, in whole chunks", { library: "ISA-L" }],
  ["by ISA-L, in small chunks", { library: "ISA-L", chunkBytes: 4093 }],
];

for (const [title, way] of ways) {
  describe(title, () => {
    const isChosen = ([, compression]: readonly [string, Compression, ...unknown[]]) =>
      way.library === undefined || compression === "gzip";
    for (const [what, compression, bytes, expected] of whole.filter(isChosen)) {
      test(`${what} comes out whole`, async () => {
        expect(await result(bytes, compression, way)).toBe(sha256(expected));
      });
    }
    for (const [what, compression, bytes, reason] of broken.filter(isChosen)) {
      test(`${what} is refused`, async () => {
        expect(await failureOf(result(bytes, compression, way))).toContain(reason);
      });
    }
    test("padding of many chunks is looked at to its end", async () => {
      const padded = Buffer.concat([gzip, Buffer.alloc(9_000_000)]);
      expect(await result(padded, "gzip", way)).toBe(sha256(content));
      expect(await failureOf(result(Buffer.concat([padded, more]), "gzip", way))).toContain("garbage follows");
    });
  });
}

test("every cut of a zstd stream is noticed", async () => {
  const short = zstdCompressSync(more);
  for (let length = 0; length < short.length; length++) {
    expect(await failureOf(result(short.subarray(0, length), "zstd"))).toContain("zstd stream is truncated");
  }
});

test("a file that is shorter than its blob is refused with both lengths", async () => {
  const path = join(directory, "short");
  await writeFile(path, content);
  const blob = new BlobReader({ path, offsetBytes: 1, lengthBytes: content.length });
  const reading = (async () => {
    for await (const chunk of decompress(blob.chunks(), "none")) expect(chunk.length).toBeGreaterThan(0);
  })();
  expect(await failureOf(reading)).toContain(`${content.length - 1} of ${content.length} bytes`);
});

test("a reader that stops half-way closes the file", async () => {
  const path = join(directory, "stopped");
  await writeFile(path, gzip);
  const blob = new BlobReader({ path, offsetBytes: 0, lengthBytes: gzip.length });
  for await (const chunk of decompress(blob.chunks(), "gzip")) {
    expect(chunk.length).toBeGreaterThan(0);
    expect(isOpen(path)).toBe(true);
    break;
  }
  expect(isOpen(path)).toBe(false);
});
