// Room: test. Owns how several readers share one download of a blob, and what is kept of it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Digest } from "../../../src/domain/identifiers.ts";
import { BlobStore, type StoredBlob } from "../../../src/images/registry/blob-store.ts";
import { readShared } from "../../../src/images/registry/shared-blobs.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/directories.ts";
import { sha256 } from "../../support/images.ts";
import { messageOf, Progress } from "./fixture.ts";

const contentOf = (seed: number) => Buffer.from(Array.from({ length: 60_000 }, (_, index) => (index * seed) % 251));
const content = contentOf(7919);
const blobOf = (bytes: Buffer, registry = "r.example"): StoredBlob => ({
  registry,
  digest: sha256(bytes) as Digest,
  sizeBytes: bytes.length,
});
const half = content.length / 2;

let directory: TemporaryDirectory;
beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(() => directory[Symbol.asyncDispose]());

const storeOf = (maxBytes = 200_000) =>
  new BlobStore({ directory: join(directory.path, "blobs"), maxBytes, othersWait: () => false });
const filesIn = () =>
  readdirSync(join(directory.path, "blobs"), { recursive: true, encoding: "utf8" }).filter((name) =>
    /-\d+$/.test(name),
  );

/** A registry that notes from where it is asked, and goes on behind the half when `mayGoOn` is resolved. */
class Source {
  readonly asked: number[] = [];
  bytes: Buffer;
  mayGoOn: Promise<unknown> = Promise.resolve();

  constructor(bytes = content) {
    this.bytes = bytes;
  }

  readonly fetch = async function* (this: Source, offsetBytes: number, hasher: Bun.CryptoHasher) {
    this.asked.push(offsetBytes);
    const parts = [this.bytes.subarray(offsetBytes, half), this.bytes.subarray(Math.max(offsetBytes, half))];
    for (const [index, part] of parts.entries()) {
      if (index === 1) await this.mayGoOn;
      if (part.length === 0) continue;
      hasher.update(part);
      yield part;
    }
    if (`sha256:${hasher.digest("hex")}` !== sha256(content)) throw new Error("r.example sent other bytes");
  }.bind(this);
}

function reading(
  store: BlobStore,
  source: Source,
  { isWanted = true, blob = blobOf(content), patienceMs = 10_000 } = {},
) {
  return readShared(store, { blob, isWanted, fetch: source.fetch, signal: undefined, patienceMs });
}

async function whole(chunks: AsyncGenerator<Uint8Array>, progress = new Progress()): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) {
    parts.push(Buffer.from(chunk));
    progress.moved(chunk.length);
  }
  return Buffer.concat(parts);
}

test("a blob is fetched once for readers at the same time, who read it as it grows, and for those that come later", async () => {
  const source = new Source();
  const second = new Progress();
  source.mayGoOn = second.reached(half);
  const readers = [whole(reading(storeOf(), source)), whole(reading(storeOf(), source), second)];
  for (const bytes of await Promise.all(readers)) expect(bytes.equals(content)).toBe(true);
  expect((await whole(reading(storeOf(), source))).equals(content)).toBe(true);
  expect((await whole(reading(storeOf(), source, { isWanted: false }))).equals(content)).toBe(true);
  expect(source.asked).toEqual([0]);
  expect(filesIn().length).toBe(1);
});

test("what a reader that left has stored is not fetched again", async () => {
  const source = new Source();
  for await (const chunk of reading(storeOf(), source)) {
    expect(chunk.length).toBe(half);
    break;
  }
  expect((await whole(reading(storeOf(), source))).equals(content)).toBe(true);
  expect(source.asked).toEqual([0, half]);
});

test("a reader waits for another one's download for a bounded time", async () => {
  const store = storeOf();
  const [stuck, own] = [new Source(), new Source()];
  const first = reading(store, stuck);
  await first.next();
  expect((await whole(reading(store, own, { patienceMs: 60 }))).equals(content)).toBe(true);
  expect(own.asked).toEqual([half]);
  await first.return(undefined);
});

test("a blob that one reader wants is not written, nor one of another registry read", async () => {
  const source = new Source();
  await whole(reading(storeOf(), source, { isWanted: false }));
  expect(() => filesIn()).toThrow("ENOENT");
  await whole(reading(storeOf(), source));
  await whole(reading(storeOf(), source, { blob: blobOf(content, "other.example") }));
  expect(source.asked).toEqual([0, 0, 0]);
});

test("stored bytes that are wrong are deleted, and fetched by the next attempt", async () => {
  const source = new Source();
  const store = storeOf();
  await whole(reading(store, source));
  const damaged = readFileSync(store.pathOf(blobOf(content)));
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  for (const bytes of [damaged, damaged.subarray(0, half)]) {
    writeFileSync(store.pathOf(blobOf(content)), bytes);
    const failure = await whole(reading(store, source)).catch((error) => error);
    expect(failure.code).toBe("aborted");
    expect(failure.message).toContain("was wrong, and is deleted");
    expect(filesIn()).toEqual([]);
  }
  expect((await whole(reading(store, source))).equals(content)).toBe(true);
  expect(source.asked).toEqual([0, half, 0]);
});

test("a blob that a registry sends wrong fails with the registry's error, and is not kept", async () => {
  const source = new Source(contentOf(31));
  expect(await messageOf(whole(reading(storeOf(), source)))).toBe("r.example sent other bytes");
  expect(filesIn()).toEqual([]);
});

test("blobs take no more than their limit: the one that was used last stays, and one that is fetched", async () => {
  const store = storeOf(130_000);
  const read = (blob: StoredBlob) => reading(store, new Source(), { blob });
  const named = (registry: string) => blobOf(content, registry);
  const fetching = read(named("first"));
  await fetching.next();
  await whole(read(named("second")));
  await whole(read(named("third")));
  expect(filesIn().length).toBe(2);
  const source = new Source();
  await whole(reading(store, source, { blob: named("third") }));
  expect(source.asked).toEqual([]);
  // Nothing gives way to what has no room at all.
  const small = storeOf(50_000);
  await whole(reading(small, source, { blob: named("fourth") }));
  expect([source.asked, filesIn().length]).toEqual([[0], 2]);
  await fetching.return(undefined);
});

test("what an earlier boot left goes, and all else when nothing waits, except what is being fetched", async () => {
  const store = storeOf();
  const old = join(directory.path, "blobs", "an-earlier-boot");
  mkdirSync(old, { recursive: true });
  writeFileSync(join(old, "blob"), "x");
  const fetching = reading(store, new Source());
  await fetching.next();
  await whole(reading(store, new Source(), { blob: blobOf(content, "other.example") }));
  store.trim();
  expect([readdirSync(join(directory.path, "blobs")).length, filesIn().length]).toEqual([1, 2]);
  store.trim({ all: true });
  expect(filesIn().length).toBe(1);
  await fetching.return(undefined);
  store.trim({ all: true });
  expect(readdirSync(join(directory.path, "blobs"), { recursive: true }).length).toBe(1);
});

test.each<readonly [string, (file: string) => void]>([
  ["a directory", (file) => mkdirSync(file)],
  ["a link to itself", (file) => symlinkSync(file, file)],
  ["a pipe", (file) => void Bun.spawnSync(["mkfifo", file])],
  ["a link to a file of another kind", (file) => symlinkSync(process.execPath, file)],
  ["no lock to be had", (file) => mkdirSync(`${file}.lock`)],
])("a store that cannot be used, %s in it, spoils no download, and is put in order", async (_what, prepare) => {
  const [source, store] = [new Source(), storeOf()];
  const path = store.pathOf(blobOf(content));
  mkdirSync(dirname(path), { recursive: true });
  prepare(path);
  expect((await whole(reading(store, source))).equals(content)).toBe(true);
  expect(source.asked).toEqual([0]);
  const other = { blob: blobOf(content, "other.example") };
  await whole(reading(store, new Source(), other));
  store.trim({ all: true });
  expect(filesIn()).toEqual([]);
});
