// Room: workers. Owns what an unpack worker's metrics say: its images, their layers, and where the time went.
import { AbortReason } from "../src/domain/cancellation.ts";
import { isRetryable, type SnapmillError } from "../src/domain/errors.ts";
import { observed } from "../src/domain/tally.ts";
import type { UnpackedImage } from "../src/jobs/contract.ts";
import type { ChainedLayer } from "../src/unpack/chain.ts";
import { phases } from "../src/unpack/phases.ts";

const secondsSince = (sinceMs: number): number => (performance.now() - sinceMs) / 1000;

/** `begunMs`: as `performance.now()` has it. */
export function observeUnpacked({ layers }: UnpackedImage, begunMs: number): void {
  const result = layers.every(({ cached }) => cached) ? "present" : "unpacked";
  observed.observe("snapmill_unpack_duration_seconds", { result }, secondsSince(begunMs));
}

/** `failure`: what the attempt's job fails with. */
export function observeFailure(failure: SnapmillError, begunMs: number): void {
  observed.observe("snapmill_unpack_duration_seconds", { result: resultOf(failure) }, secondsSince(begunMs));
}

function resultOf(failure: SnapmillError): "cancelled" | "retried" | "failed" {
  if (isCancelled(failure)) return "cancelled";
  return isRetryable(failure.code) ? "retried" : "failed";
}

const isCancelled = ({ cause }: SnapmillError): boolean => cause instanceof AbortReason && cause.kind === "cancelled";

/** A layer that is in the pool now. */
export function observeLayer({ layer, bytes, spentMs }: ChainedLayer): void {
  observed.count("snapmill_layers_total", { result: spentMs === undefined ? "cached" : "unpacked" });
  if (spentMs === undefined) return;
  observed.count("snapmill_unpack_compressed_bytes_total", {}, layer.blob.lengthBytes);
  observed.count("snapmill_unpack_written_bytes_total", {}, bytes);
  for (const stage of [...phases, "snapshot"] as const) {
    observed.count("snapmill_unpack_stage_seconds_total", { stage }, spentMs[stage] / 1000);
  }
}

export const observeFailedLayer = (): void => observed.count("snapmill_layers_total", { result: "failed" });

/** Resolves an image, and observes how long that takes, also in vain. */
export async function observingResolve<T>(resolve: () => Promise<T>): Promise<T> {
  const begunMs = performance.now();
  try {
    return await resolve();
  } finally {
    observed.count("snapmill_unpack_stage_seconds_total", { stage: "resolve" }, secondsSince(begunMs));
  }
}
