// Room: cli. Owns how a thin-pool's definition is shown.
import { formatSize } from "../../domain/units.ts";
import type { ThinPoolStatus } from "../../service/pool-status.ts";

type PoolDefinition = ThinPoolStatus["definition"];
type Fields = readonly (readonly [title: string, value: string])[];

/** What device-mapper counts in. */
const sectorBytes = 512;

export function definitionFields(definition: PoolDefinition): Fields {
  const blockBytes = definition.blockSectors * sectorBytes;
  return [
    ["Pool", definition.pool],
    ...storageFields(definition),
    ["Block size", formatSize(blockBytes)],
    ["Low water", `${formatSize(definition.lowWaterBlocks * blockBytes)} free`],
    ["When full", definition.whenFull === "error" ? "writes fail at once" : "writes wait, then fail"],
  ];
}

function storageFields({ storage }: PoolDefinition): Fields {
  switch (storage.kind) {
    case "devices":
      return [
        ["Data on", storage.dataDevice],
        ["Metadata on", storage.metadataDevice],
      ];
    case "loopback":
      return [
        ["Files in", storage.directory],
        ["Data size", formatSize(storage.dataBytes)],
        ["Metadata size", formatSize(storage.metadataBytes)],
      ];
  }
}
