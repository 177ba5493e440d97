// Room: cli. Owns the report of `unpack --dry-run`, as text and as JSON; pure functions.
import { formatSize } from "../../domain/units.ts";
import type { PlannedImage, UnpackPlan } from "../../service/plan-unpack.ts";
import { formatFields, printable } from "./format.ts";

/** The report about one image. */
export function plannedLines({ reference, platform, manifestDigest, ...image }: PlannedImage): string[] {
  const held = image.heldLayers === 0 ? "" : `, ${formatSize(image.heldBytes)} are in the pool`;
  const fields = formatFields([
    ["digest", manifestDigest],
    ["platform", platform],
    ["layers", layerCounts(image)],
    ["fetch", `${formatSize(image.fetchBytes)} of ${formatSize(image.compressedBytes)}${held}`],
    ["space", `about ${formatSize(image.estimatedBytes)}`],
  ]);
  return [printable(reference), ...fields.map((line) => `  ${line}`)];
}

function layerCounts({ layers, heldLayers }: UnpackPlan["together"]): string {
  if (heldLayers === 0) return `${layers}: all to unpack`;
  return heldLayers === layers
    ? `${layers}: all in the pool`
    : `${layers}: ${heldLayers} in the pool, ${layers - heldLayers} to unpack`;
}

/** The totals of all images, reported at the end. */
export function planLines({ images, failed, together, expansion, spareBytes, fits }: UnpackPlan): string[] {
  if (expansion === null || spareBytes === null) return [];
  const counts = failed.length === 0 ? `${images.length}` : `${images.length}, and ${failed.length} not resolved`;
  const basis = expansion.basis === "history" ? "measured on this pool's layers" : "assumed";
  const fields = formatFields([
    ["images", counts],
    ["fetch", formatSize(together.fetchBytes)],
    ["space", `about ${formatSize(together.estimatedBytes)} (compressed layers × ${expansion.factor}, ${basis})`],
    ["room", `${formatSize(spareBytes)}: ${fits ? "they fit" : "they do not fit"}`],
  ]);
  return ["together", ...fields.map((line) => `  ${line}`)];
}

/** The last line of `unpack --dry-run --json`. */
export const planJson = ({ failed, together, expansion, spareBytes, fits }: UnpackPlan) => ({
  together,
  failed,
  expansion,
  spareBytes,
  fits,
});
