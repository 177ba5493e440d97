import { expect, test } from "bun:test";
import { imageJson, imageLines } from "../../../src/cli/output/image-report.ts";
import { chainId, diffId, digest, snapshotKey } from "../../../src/domain/identifiers.ts";
import type { UnpackedImage, UnpackedLayer } from "../../../src/jobs/contract.ts";

const name = (digit: string) => `sha256:${digit.repeat(64)}`;

const layer = (digit: string, cached: boolean): UnpackedLayer => ({
  digest: digest(name(digit)),
  diffId: diffId(name("a")),
  chainId: chainId(name("b")),
  compressedBytes: 1_000_000,
  bytes: 4_000_000,
  cached,
  ms: 20,
});

const image = (...layers: readonly UnpackedLayer[]): UnpackedImage => ({
  image: "oci:/images/a:latest",
  platform: "linux/amd64",
  manifestDigest: digest(name("c")),
  chainId: chainId(name("b")),
  snapshot: snapshotKey(name("b")),
  layers: [...layers],
});

test("an unpacked image tells its snapshot, layers, sizes, time and rate", () => {
  expect(imageLines(image(layer("1", false), layer("2", false)), 2000)).toEqual([
    "oci:/images/a:latest",
    `  snapshot  ${name("b")}`,
    "  layers    2: all unpacked",
    "  size      7.6 MiB (1.9 MiB as stored)",
    "  time      2.0 s, 4.0 MB/s",
  ]);
});

test("cached layers are told apart, and do not count for the rate", () => {
  const lines = imageLines(image(layer("1", true), layer("2", false)), 1000);
  expect(lines).toContain("  layers    2: 1 unpacked, 1 cached");
  expect(lines).toContain("  time      1.0 s, 4.0 MB/s");
});

test("an image that was there already has no rate", () => {
  const lines = imageLines(image(layer("1", true)), 12);
  expect(lines).toContain("  layers    1: all cached");
  expect(lines).toContain("  time      12 ms");
});

test("a layer of some bytes has no rate either", () => {
  const lines = imageLines(image({ ...layer("1", false), bytes: 1539 }), 131);
  expect(lines).toContain("  time      131 ms");
});

test("the JSON of an image has exactly the promised fields", () => {
  expect(imageJson(image(layer("1", true)))).toEqual({
    image: "oci:/images/a:latest",
    manifestDigest: digest(name("c")),
    chainId: chainId(name("b")),
    snapshot: snapshotKey(name("b")),
    layers: [
      {
        digest: digest(name("1")),
        diffId: diffId(name("a")),
        chainId: chainId(name("b")),
        compressedBytes: 1_000_000,
        bytes: 4_000_000,
        cached: true,
        ms: 20,
      },
    ],
  });
});
