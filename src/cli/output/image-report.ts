// Room: cli. Owns the report of an unpacked image, as text and as JSON; pure functions.

import { formatDuration, formatSize } from "../../domain/units.ts";
import type { UnpackedImage } from "../../service/unpack.ts";
import { formatFields, formatRate, printable } from "./format.ts";

/** What `unpack --json` prints for an image. */
export const imageJson = ({ image, manifestDigest, chainId, snapshot, layers }: UnpackedImage) => ({
  image,
  manifestDigest,
  chainId,
  snapshot,
  layers: layers.map(({ digest, diffId, chainId: chain, compressedBytes, bytes, cached, ms }) => ({
    digest,
    diffId,
    chainId: chain,
    compressedBytes,
    bytes,
    cached,
    ms,
  })),
});

/** Below this, a rate would mean nothing: the time was spent elsewhere. */
const tellingBytes = 1_000_000;

/** What `unpack` reports about an image that took `ms`, waiting included. */
export function imageLines({ image, snapshot, layers }: UnpackedImage, ms: number): string[] {
  const unpacked = layers.filter(({ cached }) => !cached);
  const unpackedBytes = sum(unpacked, "bytes");
  const rate = unpackedBytes >= tellingBytes ? `, ${formatRate(unpackedBytes, ms)}` : "";
  const size = `${formatSize(sum(layers, "bytes"))} (${formatSize(sum(layers, "compressedBytes"))} as stored)`;
  const fields = formatFields([
    ["snapshot", snapshot],
    ["layers", `${layers.length}: ${layerCounts(layers.length - unpacked.length, unpacked.length)}`],
    ["size", size],
    ["time", `${formatDuration(ms)}${rate}`],
  ]);
  return [printable(image), ...fields.map((line) => `  ${line}`)];
}

function layerCounts(cached: number, unpacked: number): string {
  if (cached === 0) return "all unpacked";
  return unpacked === 0 ? "all cached" : `${unpacked} unpacked, ${cached} cached`;
}

const sum = (layers: UnpackedImage["layers"], field: "bytes" | "compressedBytes"): number =>
  layers.reduce((total, layer) => total + layer[field], 0);
