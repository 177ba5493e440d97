// Room: test. Owns damaged archives: cut off anywhere, any bit flipped. They fail with an error or apply; they never crash.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isSnapmillError } from "../../../src/domain/errors.ts";
import { TarReader } from "../../../src/tar/reader.ts";
import { tar } from "../../support/tar.ts";
import {
  characterDevice,
  directory,
  fifo,
  file,
  globalPax,
  hardLink,
  sparse,
  symlink,
  whiteout,
} from "../../support/tar-entries.ts";
import { describeTree, diffTrees } from "../../support/trees.ts";
import { applyTar, makeScratch, type Scratch } from "../scratch.ts";

setDefaultTimeout(60_000);

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const extents = [{ offsetBytes: 8192, content: Buffer.alloc(700, "s") }];
const archive = tar([
  globalPax({ comment: "of everything" }),
  directory("d", { mtimeNs: 5n }),
  file("d/f", Buffer.alloc(1300, "x"), { xattrs: { "user.a": "b" } }),
  file(`d/${"l".repeat(120)}`, "gnu", { longNames: "gnu" }),
  symlink("d/s", "../d"),
  hardLink("h", "d/f"),
  characterDevice("c", 1, 3),
  fifo("p"),
  sparse("sparse-1.0", 100_000, extents, "pax-1.0"),
  sparse("sparse-gnu", 100_000, extents, "gnu"),
  whiteout("d/s"),
]);

/** Everything that the reader tells of an archive: what it costs to be wrong shows before any file is touched. */
function read(bytes: Uint8Array, chunkBytes: number): { entries: number; dataBytes: number } {
  let entries = 0;
  let dataBytes = 0;
  const reader = new TarReader({
    begin: () => entries++,
    data: (_chunk, start, end) => {
      dataBytes += end - start;
    },
    finish: () => undefined,
  });
  for (let at = 0; at < bytes.length; at += chunkBytes) reader.push(bytes.subarray(at, at + chunkBytes));
  reader.end();
  return { entries, dataBytes };
}

/** Undefined when it went well; else the error, which must be one of ours. */
function failureOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (!isSnapmillError(error)) throw error;
    expect(error.code).toBe("invalid_argument");
    return error.message;
  }
}

test("an archive reads the same in chunks of any size", () => {
  const whole = read(archive, archive.length);
  expect(whole.entries).toBe(10);
  for (const chunkBytes of [1, 7, 511, 512, 513, 1000, 4096]) expect(read(archive, chunkBytes)).toEqual(whole);
});

test("an archive cut off inside an entry is refused; cut off between entries it is taken for whole", () => {
  const outcomes = new Map<number, string | undefined>();
  // Every 13th place comes by every offset within a block.
  for (let length = archive.length % 13; length <= archive.length; length += 13) {
    outcomes.set(
      length,
      failureOf(() => read(archive.subarray(0, length), 4096)),
    );
  }
  const whole = [...outcomes].filter(([, failure]) => failure === undefined).map(([length]) => length);
  const cut = [...outcomes.values()].filter((failure) => failure?.includes("truncated"));
  expect(cut.length + whole.length).toBe(outcomes.size);
  // Inside a header, an extended header or content there are many times more places than between entries.
  expect(cut.length).toBeGreaterThan(whole.length * 2);
  expect(whole).toContain(archive.length);
});

test("an archive cut off at each block is applied or refused, and leaves what is outside alone", async () => {
  const outer = await scratch.root();
  const victim = join(outer, "victim");
  await mkdir(victim);
  await writeFile(join(victim, "f"), "f");
  const before = describeTree(victim);
  for (let length = 0; length <= archive.length; length += 512) {
    const root = join(outer, String(length));
    await mkdir(root);
    failureOf(() => applyTar(root, archive.subarray(0, length)));
  }
  expect(diffTrees(before, describeTree(victim))).toEqual([]);
});

test("an archive with any one bit flipped is read, or refused with an error", () => {
  let refused = 0;
  for (let at = 0; at < archive.length; at += 5) {
    const damaged = Buffer.from(archive);
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
    if (failureOf(() => read(damaged, 8192)) !== undefined) refused++;
  }
  expect(refused).toBeGreaterThan(200);
});

test("an archive with several changed bytes and sound checksums is applied, or refused with an error", async () => {
  const outer = await scratch.root();
  const random = seeded(20_261_124);
  let refused = 0;
  for (let round = 0; round < 100; round++) {
    const damaged = Buffer.from(archive);
    for (let change = 0; change < 4; change++)
      damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
    mendChecksums(damaged);
    const root = join(outer, String(round));
    await mkdir(root);
    if (failureOf(() => applyTar(root, damaged)) !== undefined) refused++;
  }
  expect(refused).toBeGreaterThan(0);
  expect([...describeTree(outer).keys()].every((path) => path === "" || /^\d+(\/|$)/.test(path))).toBe(true);
});

/** Makes the checksum right in every block that looks like a header: damage then gets past it. */
function mendChecksums(bytes: Buffer): void {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (!bytes.toString("latin1", at + 257, at + 262).startsWith("ustar")) continue;
    bytes.fill(" ", at + 148, at + 156);
    const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
  }
}

/** mulberry32: the same numbers every time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
