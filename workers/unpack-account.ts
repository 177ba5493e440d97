// Room: workers. Owns the account of an attempt at an unpack: what is told of it on its way, and recorded at its end.
import { formatSize } from "../src/domain/units.ts";
import type { ImageLayer, LayerBlob } from "../src/images/image.ts";
import { orHostPlatform } from "../src/images/platform.ts";
import type { Payload, TimedProgress, UnpackAccount } from "../src/jobs/contract.ts";
import type { ChainedLayer } from "../src/unpack/chain.ts";

/** `layers` is replaced once the image is known, and filled as they are unpacked. */
export type Account = Omit<UnpackAccount, "layers"> & TimedProgress;

/** Of an attempt that begins now. */
export const accountOf = ({ reference, platform, registry }: Payload<"unpack">): Account => ({
  reference,
  platform: orHostPlatform(platform),
  ...(registry !== undefined && { registry }),
  startedAtMs: Date.now(),
  layers: [],
});

export const layersBefore = (layers: readonly ImageLayer<LayerBlob>[]): TimedProgress["layers"] =>
  layers.map(({ digest, blob }) => ({ digest, state: "waiting", compressedBytes: blob.lengthBytes, readBytes: 0 }));

/** A line for the job's log: how long each phase of the layer took. */
export function lineOf({ bytes, ms, spentMs }: ChainedLayer, name: string): string {
  if (spentMs === undefined) return `${name}: the pool has it (${formatSize(bytes)})`;
  const parts = Object.entries(spentMs).map(([phase, partMs]) => `${phase} ${Math.round(partMs)}`);
  return `${name}: ${formatSize(bytes)} in ${ms} ms (${parts.join(", ")})`;
}
