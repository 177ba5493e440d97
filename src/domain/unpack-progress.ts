// Room: domain. Owns how far an unpack is: its layers done of all, and its bytes read of those that it fetches.

export interface LayerProgress {
  readonly state: "waiting" | "unpacking" | "unpacked" | "cached";
  readonly compressedBytes: number;
  readonly readBytes: number;
}

type Layers = readonly LayerProgress[];

export const layersDone = (layers: Layers): number =>
  layers.filter(({ state }) => state === "unpacked" || state === "cached").length;

/** Compressed; of layers that the pool did not have. */
export const wantedBytes = (layers: Layers): number => sum(layers, ({ compressedBytes }) => compressedBytes);
export const readBytes = (layers: Layers): number => sum(layers, (layer) => layer.readBytes);

const sum = (layers: Layers, of: (layer: LayerProgress) => number): number =>
  layers.reduce((total, layer) => (layer.state === "cached" ? total : total + of(layer)), 0);
