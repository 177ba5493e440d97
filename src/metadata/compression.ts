// Room: metadata. Owns what the pool's records say of how far layers are compressed.
import { desc } from "drizzle-orm";
import type { Database } from "./database.ts";
import type { LayerRecord } from "./images.ts";
import { images } from "./schema.ts";

/** The images that were unpacked last. */
const lookedAt = 200;

/** Of the compressed layers of the latest images, each counted once. */
export function compressionHistory(database: Database): { readonly compressedBytes: number; readonly bytes: number } {
  const rows = database.drizzle
    .select({ layers: images.layers })
    .from(images)
    .orderBy(desc(images.unpackedAtMs))
    .limit(lookedAt)
    .all();
  const layers = rows.flatMap(({ layers: text }) => JSON.parse(text) as LayerRecord[]);
  const byDigest = new Map(layers.map((layer) => [layer.digest, layer]));
  let [compressedBytes, bytes] = [0, 0];
  for (const layer of byDigest.values()) {
    // One that is stored as it is says nothing of compression.
    if (layer.bytes <= layer.compressedBytes) continue;
    compressedBytes += layer.compressedBytes;
    bytes += layer.bytes;
  }
  return { compressedBytes, bytes };
}
