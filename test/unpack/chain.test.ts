// Room: test. Owns what a chain asks of the writer: each missing layer in turn, and the one above it announced.
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChainId, diffId, digest } from "../../src/domain/identifiers.ts";
import type { ImageLayer } from "../../src/images/image.ts";
import { chainIdsOf, type LayerStore, unpackChain } from "../../src/unpack/chain.ts";
import type { ApplyRequest } from "../../src/unpack/protocol.ts";
import { sha256 } from "../support/images.ts";

const layers = [0, 1, 2, 3].map((number): ImageLayer => {
  const hash = sha256(Buffer.from([number]));
  const blob = { path: `/blobs/${number}`, offsetBytes: number, lengthBytes: 10 };
  return { digest: digest(hash), diffId: diffId(hash), compression: "gzip", blob };
});

/** A pool's book without a pool. */
function bookOf(committed: Map<ChainId, number>): LayerStore {
  return {
    committedBytes: (chainId) => committed.get(chainId),
    attempts: () => [],
    prepare: () => Promise.resolve({ devicePath: "/dev/null", fsType: "ext4", mountOptions: [] }),
    commit: (chainId, _key, bytes) => Promise.resolve(void committed.set(chainId, bytes)),
    discard: () => Promise.resolve(),
  };
}

test("a layer is applied with the one above it announced, unless the pool has that", async () => {
  const lockDir = await mkdtemp(join(tmpdir(), "snapmill-chain-"));
  const requests: ApplyRequest[] = [];
  const top = chainIdsOf(layers).at(-1);
  const image = {
    reference: "oci:/x:y",
    platform: "linux/amd64",
    manifestDigest: digest(sha256(Buffer.alloc(0))),
    layers,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  try {
    await unpackChain(image, {
      store: bookOf(new Map(top === undefined ? [] : [[top, 1]])),
      writer: {
        apply: (request) => {
          requests.push(request);
          return Promise.resolve({ bytes: 1, entries: 1, spentMs: { waiting: 0, writing: 0, flush: 0, mounting: 0 } });
        },
      },
      lockDir,
      spaceGuards: [],
      signal: new AbortController().signal,
      onProgress: () => undefined,
    });
  } finally {
    await rm(lockDir, { recursive: true });
  }
  expect(requests.map(({ blob, next }) => [blob.path, next?.blob.path])).toEqual([
    ["/blobs/0", "/blobs/1"],
    ["/blobs/1", "/blobs/2"],
    ["/blobs/2", undefined],
  ]);
});
