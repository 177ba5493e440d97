// Room: test. Owns the comparison of the two gunzips: on damaged streams, ISA-L and node:zlib come to the same result.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { crc32, gzipSync, constants as zlib } from "node:zlib";
import { isSnapmillError } from "../../src/domain/errors.ts";
import { decompress } from "../../src/images/decompress.ts";
import { type IsalInflater, loadIsal } from "../../src/system/inflate/isal.ts";
import { randomOf, seedOf } from "../support/random.ts";

setDefaultTimeout(300_000);

/** Set SNAPMILL_TEST_SEED to repeat a run, SNAPMILL_TEST_CASES for more or fewer. */
const mutations = Number(Bun.env["SNAPMILL_TEST_CASES"] ?? 10_000);
const seed = seedOf(Bun.env["SNAPMILL_TEST_SEED"]);

const isal = loadIsal();
const inflater = isal.kind === "usable" ? isal.inflater() : undefined;

async function* chunksOf(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  // The same memory each time, as with a file that is read: what is kept of a chunk must be a copy.
  const memory = new Uint8Array(Math.min(chunkBytes, Math.max(1, bytes.length)));
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const piece = bytes.subarray(at, at + chunkBytes);
    memory.fill(0xa5);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
  }
}

/** Its content's digest, or that it is refused. */
async function outcome(bytes: Uint8Array, chunkBytes: number, by: IsalInflater | undefined): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  let lengthBytes = 0;
  try {
    for await (const chunk of decompress(chunksOf(bytes, chunkBytes), "gzip", by)) {
      hasher.update(chunk);
      lengthBytes += chunk.length;
    }
  } catch (error) {
    if (isSnapmillError(error, "invalid_argument")) return "refused";
    throw error;
  }
  return `${lengthBytes} bytes, ${hasher.digest("hex")}`;
}

const text = Buffer.from("the quick brown fox jumps over the lazy dog, and over a lazier one; ".repeat(40));
const noise = Buffer.alloc(3_000, 0).map((_, at) => Math.imul(at + 1, 2_654_435_761) >>> 11);

/** A header with every field that RFC 1952 has. */
function withFields(member: Buffer): Buffer {
  const header = Buffer.from([0x1f, 0x8b, 8, 0x1f, 1, 2, 3, 4, 0, 3, 5, 0, 9, 8, 7, 6, 5]);
  const named = Buffer.concat([header, Buffer.from("a name\0and a comment\0")]);
  const checksum = Buffer.alloc(2);
  checksum.writeUInt16LE(crc32(named) & 0xffff);
  return Buffer.concat([named, checksum, member.subarray(10)]);
}

const streams: readonly (readonly [string, Buffer])[] = [
  ["text", gzipSync(text)],
  ["noise, stored", gzipSync(noise, { level: 0 })],
  ["fixed codes", gzipSync(text, { strategy: zlib.Z_FIXED })],
  ["run lengths", gzipSync(Buffer.alloc(70_000, 7), { strategy: zlib.Z_RLE })],
  ["noise behind text", gzipSync(Buffer.concat([text, noise]), { level: 9 })],
  ["a header with every field", withFields(gzipSync(text))],
  ["three members", Buffer.concat([gzipSync(text), gzipSync(Buffer.alloc(0)), gzipSync(noise)])],
  ["members and padding", Buffer.concat([gzipSync(text), gzipSync(noise), Buffer.alloc(1_024)])],
];

function mutated(bytes: Buffer, random: (below: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  const at = random(copy.length);
  switch (random(7)) {
    case 0:
      return copy.subarray(0, at);
    case 1:
      return Buffer.concat([copy, Buffer.from(Array.from({ length: random(20) }, () => random(256)))]);
    case 2:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(random(copy.length))]);
    case 3:
      copy.subarray(at, at + random(12)).fill(random(256));
      return copy;
    case 4:
      // In the first header, or in front of the first block.
      copy[random(Math.min(24, copy.length))] = random(256);
      return copy;
    default:
      copy[at] = (copy[at] ?? 0) ^ (1 << random(8));
      return copy;
  }
}

const chunkSizes = [1, 7, 64, 1_000, 1_000_000] as const;

describe("ISA-L comes to node:zlib's result", () => {
  test(`on ${mutations} damaged streams of seed ${seed}`, async () => {
    expect(inflater).toBeDefined();
    const next = randomOf(seed);
    const random = (below: number) => Math.floor(next() * below);
    let refused = 0;
    for (let turn = 0; turn < mutations; turn += 1) {
      const [name, stream] = streams[turn % streams.length] ?? ["", Buffer.alloc(0)];
      const bytes = mutated(stream, random);
      const expected = await outcome(bytes, 1_000_000, undefined);
      const chunkBytes = chunkSizes[random(chunkSizes.length)] ?? 1;
      const found = await outcome(bytes, chunkBytes, inflater);
      if (found !== expected) {
        throw new Error(
          `${name}, turn ${turn} of seed ${seed}, in chunks of ${chunkBytes}: ${found}, not ${expected}: ${bytes.toString("base64")}`,
        );
      }
      refused += Number(expected === "refused");
    }
    // Otherwise nothing was compared.
    expect(refused).toBeGreaterThan(mutations / 3);
    expect(refused).toBeLessThan(mutations);
  });

  for (const [name, stream] of streams) {
    test(`on ${name}, whole, in chunks of any size`, async () => {
      const expected = await outcome(stream, 1_000_000, undefined);
      expect(expected).toContain(" bytes, ");
      for (const chunkBytes of [...Array.from({ length: 33 }, (_, at) => at + 1), ...chunkSizes]) {
        expect(`${chunkBytes}: ${await outcome(stream, chunkBytes, inflater)}`).toBe(`${chunkBytes}: ${expected}`);
      }
    });
  }

  for (const [name, stream] of streams.slice(-3)) {
    test(`on ${name}, truncated at every byte`, async () => {
      for (let length = 0; length < stream.length; length += 1) {
        const cut = stream.subarray(0, length);
        const expected = `${length}: ${await outcome(cut, 1_000_000, undefined)}`;
        expect(`${length}: ${await outcome(cut, 1_000_000, inflater)}`).toBe(expected);
        expect(`${length}: ${await outcome(cut, 3, inflater)}`).toBe(expected);
      }
    });
  }
});
