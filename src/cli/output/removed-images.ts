// Room: cli. Owns the report about removed images; pure functions.
import { formatSize } from "../../domain/units.ts";
import type { Pruned } from "../../service/prune-images.ts";
import { plural } from "./format.ts";

/** Sizes were measured when the layers were committed; their devices are removed in the background. */
export function freedLine({ layers }: Pick<Pruned, "layers">, verb = "removed"): string {
  const bytes = layers.reduce((sum, layer) => sum + layer.bytes, 0);
  return `${verb}${verb && " "}${plural(layers.length, "layer")}, about ${formatSize(bytes)}`;
}

export function keptSentence({ manifestDigest, platform, kind, reason }: Pruned["kept"][number]): string {
  const verb = kind === "in use" ? "is removed, but" : "was not removed:";
  return `image ${manifestDigest} (${platform}) ${verb} ${reason}`;
}
