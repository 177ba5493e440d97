import { describe, expect, test } from "bun:test";
import { createReadStream } from "node:fs";
import { gzipSync } from "node:zlib";
import { failedPrecondition, invalidArgument } from "../../src/domain/errors.ts";
import { type DiffId, type Digest, digest } from "../../src/domain/identifiers.ts";
import type { Compression } from "../../src/images/image.ts";
import { feedBlob } from "../../src/unpack/blob-feed.ts";
import { BlobThread } from "../../src/unpack/blob-thread.ts";
import { sha256 } from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { file } from "../support/tar-entries.ts";

const plain = tar([file("content", Buffer.alloc(5_000_000, "snapmill "))]);
const never = async (signal: AbortSignal | undefined): Promise<void> => {
  await new Promise<void>((resolve) => {
    if (signal?.aborted === true) resolve();
    signal?.addEventListener("abort", () => resolve());
  });
  signal?.throwIfAborted();
};

/** A layer that is fetched in chunks; `then` runs after the last one. Counts how often it is opened and closed. */
function remoteLayer(
  bytes: Buffer,
  compression: Compression,
  then: (signal?: AbortSignal) => unknown = () => undefined,
) {
  const counts = { opened: 0, closed: 0 };
  async function* open(offsetBytes: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    counts.opened += 1;
    try {
      for (let at = offsetBytes; at < bytes.length; at += 60_000) yield bytes.subarray(at, at + 60_000);
      await then(signal);
    } finally {
      counts.closed += 1;
    }
  }
  const blob = { lengthBytes: bytes.length, open };
  const layer = {
    digest: digest(sha256(bytes)) as Digest,
    diffId: digest(sha256(plain)) as string as DiffId,
    compression,
    blob,
  };
  return { counts, layer };
}

async function read(thread: BlobThread, source: Parameters<BlobThread["open"]>[0]) {
  using stream = thread.open(source);
  let bytes = 0;
  for await (const { bytes: chunk } of stream.chunks()) bytes += chunk.length;
  return { bytes, digests: stream.digests };
}

const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing",
    ({ message }: Error) => message,
  );

describe("a blob that has to be fetched", () => {
  test.each([
    ["none", "none"],
    ["gzip", "gzip"],
    ["gzip", "none"],
    ["none", "gzip"],
  ] as const)("comes through a pipe, stored as %s and called %s", async (form, called) => {
    using thread = new BlobThread();
    const stored = form === "gzip" ? gzipSync(plain) : plain;
    const { layer, counts } = remoteLayer(stored, called);
    for (let turn = 0; turn < 2; turn += 1) {
      await using feed = await feedBlob(layer);
      expect(feed.source.compression).toBe(form);
      const { bytes, digests } = await read(thread, feed.source);
      await feed.complete();
      expect([bytes, String(digests.blob), String(digests.tar)]).toEqual([plain.length, sha256(stored), sha256(plain)]);
    }
    expect(counts).toEqual({ opened: 2, closed: 2 });
  });

  test("that could not be had whole explains why its reader failed", async () => {
    using thread = new BlobThread();
    const { layer, counts } = remoteLayer(plain, "none", () => {
      throw failedPrecondition("the registry went");
    });
    const cut = { ...layer, blob: { ...layer.blob, lengthBytes: plain.length + 1 } };
    await using feed = await feedBlob(cut);
    const failure = await read(thread, feed.source).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "invalid_argument", message: expect.stringContaining("bytes came") });
    expect(await feed.explain(failure)).toMatchObject({ code: "failed_precondition", message: "the registry went" });
    expect(await messageOf(feed.complete())).toBe("the registry went");
    expect(counts.closed).toBe(1);
  });

  test("that its reader finds damaged is read to its end for what it really is", async () => {
    const { layer } = remoteLayer(gzipSync(plain, { level: 0 }), "gzip", () => {
      throw failedPrecondition("the registry sent other bytes");
    });
    await using feed = await feedBlob(layer);
    const explained = await feed.explain(invalidArgument("the gzip stream is damaged"));
    expect(explained).toMatchObject({ message: "the registry sent other bytes" });
    await using sound = await feedBlob(remoteLayer(plain, "none").layer);
    expect(await sound.explain(invalidArgument("the tar is damaged"))).toMatchObject({ message: "the tar is damaged" });
  });

  test("is closed when its reader stops, and when its registry is silent", async () => {
    using thread = new BlobThread();
    const { layer, counts } = remoteLayer(plain, "none", never);
    {
      await using feed = await feedBlob(layer);
      using stream = thread.open(feed.source);
      for await (const _chunk of stream.chunks()) break;
    }
    expect(counts.closed).toBe(1);
    {
      await using _unread = await feedBlob(layer);
    }
    expect(counts.closed).toBe(2);
    // The thread is free for the next blob.
    await using next = await feedBlob(remoteLayer(plain, "none").layer);
    expect((await read(thread, next.source)).bytes).toBe(plain.length);
  });

  test("is fetched no faster than it is read", async () => {
    const lengthBytes = 100 * 2 ** 20;
    let taken = 0;
    async function* open(): AsyncGenerator<Uint8Array> {
      const chunk = new Uint8Array(2 ** 16);
      for (; taken < lengthBytes; taken += chunk.length) yield chunk;
    }
    const { layer } = remoteLayer(plain, "none");
    await using feed = await feedBlob({ ...layer, blob: { lengthBytes, open } });
    if (!("pipe" in feed.source.blob)) throw new Error("it is not read through a pipe");
    let readBytes = 0;
    let maxAheadBytes = 0;
    for await (const chunk of createReadStream(feed.source.blob.pipe) as AsyncIterable<Buffer>) {
      readBytes += chunk.length;
      maxAheadBytes = Math.max(maxAheadBytes, taken - readBytes);
    }
    expect(readBytes).toBe(lengthBytes);
    expect(maxAheadBytes).toBeLessThan(3 * 2 ** 20);
  });

  test("that is no layer is refused before it is read", async () => {
    const { layer, counts } = remoteLayer(Buffer.from("fd377a585a000000", "hex"), "gzip");
    expect(await messageOf(feedBlob(layer))).toMatch(
      /the layer sha256:\w+ is compressed in a way that is not supported/,
    );
    expect(counts.closed).toBe(1);
  });
});
