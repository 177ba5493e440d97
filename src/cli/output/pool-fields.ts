// Room: cli. Owns how a thin-pool's definition is shown.
import { formatSize } from "../../domain/units.ts";
import type { PoolDefinition } from "../../drivers/devicemapper/pool/definition.ts";
import { blockBytesOf } from "../../drivers/devicemapper/pool/geometry.ts";

type Fields = readonly (readonly [title: string, value: string])[];

export const definitionFields = (definition: PoolDefinition): Fields => [
  ["Pool", definition.pool],
  ...storageFields(definition),
  ["Block size", formatSize(blockBytesOf(definition))],
  ["Low water", `${formatSize(definition.lowWaterBlocks * blockBytesOf(definition))} free`],
  ["When full", definition.whenFull === "error" ? "writes fail at once" : "writes wait, then fail"],
];

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
