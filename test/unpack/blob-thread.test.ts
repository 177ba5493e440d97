// Room: test. Owns the blob thread: what it delivers, how far it reads ahead, and how its death is reported.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import type { BlobRange, Compression } from "../../src/images/image.ts";
import { type BlobSource, slotBytes, slotCount } from "../../src/unpack/blob-messages.ts";
import type { BlobStream } from "../../src/unpack/blob-stream.ts";
import { BlobThread } from "../../src/unpack/blob-thread.ts";
import { sha256 } from "../support/images.ts";
import { until } from "../support/until.ts";
import { isOpen } from "./scratch.ts";

setDefaultTimeout(60_000);

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-blob-thread-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let thread: BlobThread;
beforeEach(() => {
  thread = new BlobThread();
});
afterEach(() => thread[Symbol.dispose]());

const small = Buffer.from("a tar, more or less");
/** More than the thread buffers: it stops in the middle until a reader comes. */
const large = Buffer.alloc(slotBytes * (slotCount + 12));
for (let at = 0; at < large.length; at += 64) large.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);

async function source(
  bytes: Buffer,
  compression: Compression = "none",
): Promise<BlobSource & { readonly blob: BlobRange }> {
  const path = join(directory, crypto.randomUUID());
  await writeFile(path, bytes);
  return { blob: { path, offsetBytes: 0, lengthBytes: bytes.length }, compression };
}

async function contentOf(stream: BlobStream): Promise<string> {
  using borrowed = stream;
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const { bytes } of borrowed.chunks()) hasher.update(Buffer.from(bytes));
  return `sha256:${hasher.digest("hex")}`;
}

const failureOf = (stream: BlobStream): Promise<unknown> =>
  contentOf(stream).then(
    () => "nothing failed",
    (error: unknown) => error,
  );

async function readSome(stream: BlobStream): Promise<void> {
  for await (const { bytes } of stream.chunks()) {
    expect(bytes.length).toBeGreaterThan(0);
    return;
  }
}

describe("a blob thread", () => {
  test("delivers a blob larger than its memory, and both digests", async () => {
    const packed = gzipSync(large);
    const stream = thread.open(await source(packed, "gzip"));
    expect(() => stream.digests).toThrow("read to its end");
    expect(await contentOf(stream)).toBe(sha256(large));
    expect({ ...stream.digests }).toEqual({ blob: sha256(packed), tar: sha256(large) } as never);
  });

  test("fills its memory with what it inflates, so that all of it is read ahead", async () => {
    using stream = thread.open(await source(gzipSync(large), "gzip"));
    const lengths = new Set<number>();
    for await (const { bytes } of stream.chunks()) lengths.add(bytes.length);
    expect([...lengths]).toEqual([slotBytes]);
  });

  test("delivers what precedes the damage", async () => {
    const stream = thread.open(await source(gzipSync(small).subarray(0, -3), "gzip"));
    const chunks = stream.chunks();
    const { value } = await chunks.next();
    expect(Buffer.from(value?.bytes ?? [])).toEqual(small);
    const failure = await chunks.next().catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringContaining("damaged or truncated") });
  });

  test("says what is wrong with a blob as it would be said without it, and goes on", async () => {
    const cut = await source(gzipSync(large).subarray(0, -3), "gzip");
    expect(await failureOf(thread.open(cut))).toMatchObject({
      name: "SnapmillError",
      code: "invalid_argument",
      message: expect.stringContaining("the gzip stream is damaged or truncated"),
    });
    const missing = { ...cut, blob: { ...cut.blob, path: join(directory, "missing") } };
    expect(await failureOf(thread.open(missing))).toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(/missing cannot be read: ENOENT/),
    });
    expect(await contentOf(thread.open(await source(small)))).toBe(sha256(small));
  });

  test("closes what is left unread, and has all its memory for the next blob, however often", async () => {
    for (let round = 0; round < 5; round++) {
      const left = await source(large);
      {
        using stream = thread.open(left);
        await readSome(stream);
        expect(isOpen(left.blob.path)).toBe(true);
      }
      expect(await contentOf(thread.open(await source(large)))).toBe(sha256(large));
      expect(isOpen(left.blob.path)).toBe(false);
    }
  });
});

describe("an announced blob", () => {
  test("is read ahead, and delivered from that when it is opened", async () => {
    const [first, next] = [await source(small), await source(large)];
    expect(await contentOf(thread.open(first, next))).toBe(sha256(small));
    await until("the next blob is open", () => isOpen(next.blob.path));
    // An open blob is read on although its file is deleted; opening it again would fail.
    await rm(next.blob.path);
    const stream = thread.open(next);
    expect(await contentOf(stream)).toBe(sha256(large));
    expect(String(stream.digests.tar)).toBe(sha256(large));
  });

  test("that is damaged fails when it is opened, not before", async () => {
    const damaged = await source(small, "gzip");
    expect(await contentOf(thread.open(await source(large), damaged))).toBe(sha256(large));
    expect(await failureOf(thread.open(damaged))).toMatchObject({ code: "invalid_argument" });
  });

  test("is dropped when another one is opened", async () => {
    const [first, next, other] = [await source(small), await source(large), await source(large)];
    await contentOf(thread.open(first, next));
    await until("the next blob is open", () => isOpen(next.blob.path));
    expect(await contentOf(thread.open(other))).toBe(sha256(large));
    expect(isOpen(next.blob.path)).toBe(false);
  });

  test("is dropped when the one before it is not read to its end", async () => {
    const [first, next] = [await source(large), await source(small)];
    {
      using stream = thread.open(first, next);
      await readSome(stream);
    }
    await rm(next.blob.path);
    expect(await failureOf(thread.open(next))).toMatchObject({ message: expect.stringContaining("ENOENT") });
  });
});

describe("the death of a blob thread", () => {
  const onMessage = (action: string) => `require("node:worker_threads").parentPort.on("message", () => ${action});`;

  test("is reported to its reader, and the next blob has another thread", async () => {
    using stream = thread.open(await source(large), await source(small));
    const chunks = stream.chunks();
    await chunks.next();
    thread[Symbol.dispose]();
    const rest = (async () => {
      for await (const { bytes } of chunks) expect(bytes.length).toBeGreaterThan(0);
    })();
    expect(rest).rejects.toThrow("the thread that reads and decompresses blobs ended: it was told to");
    await rest.catch(() => undefined);
    expect(await contentOf(thread.open(await source(small)))).toBe(sha256(small));
  });

  for (const [how, program, reason] of [
    ["with an exception", onMessage('{ throw new Error("no more"); }'), "no more"],
    ["by leaving", onMessage("process.exit(3)"), "exit code 3"],
    ["before it began", 'throw new Error("not today");', "not today"],
  ] as const) {
    test(`${how} is an error, not a wait`, async () => {
      const path = join(directory, `${crypto.randomUUID()}.ts`);
      await writeFile(path, program);
      using dying = new BlobThread({ program: pathToFileURL(path) });
      for (let round = 0; round < 2; round++) {
        const failure = await failureOf(dying.open(await source(small), await source(small)));
        expect(failure).toMatchObject({ code: "internal", message: expect.stringContaining(reason) });
      }
    });
  }
});
