// Room: metadata. Owns what the space of a pool is used for, as measured at commits: by image, shared, and by nothing.
import { eq } from "drizzle-orm";
import { type Database, readConsistently } from "./database.ts";
import { type Image, idOf } from "./images.ts";
import { readLayerUses, several, type UsedLayer } from "./layer-uses.ts";
import { removalRecords } from "./pending-removals.ts";
import { snapshots } from "./schema.ts";

export interface SpaceUse {
  /** What each image has for itself, the largest first. Images whose layers have gone are left out. */
  readonly images: readonly { readonly image: Image; readonly exclusiveBytes: number }[];
  /** Layers that several images use, or an image and another user: each once. */
  readonly sharedBytes: number;
  /** Committed snapshots that no image uses: of users, of clients of the socket, of unpacks that have not ended. */
  readonly otherBytes: number;
  /** Layers that nothing uses, which the next prune removes. */
  readonly unclaimedBytes: number;
  /** Devices that wait for their removal, as far as they were measured. */
  readonly removalBytes: number;
}

/** In a fixed number of statements, however many snapshots and images there are. */
export const readSpaceUse = (database: Database): SpaceUse =>
  readConsistently(database, () => {
    const { images, layers } = readLayerUses(database);
    const all = [...layers.values()];
    const exclusive = new Map<string, number>();
    let [sharedBytes, unclaimedBytes, otherBytes] = [0, 0, othersThan(database, all)];
    for (const { users, ownBytes } of all) {
      if (users.image === undefined) {
        if (users.other === undefined) unclaimedBytes += ownBytes;
        else otherBytes += ownBytes;
      } else if (users.image === several || users.other !== undefined) sharedBytes += ownBytes;
      else exclusive.set(users.image, (exclusive.get(users.image) ?? 0) + ownBytes);
    }
    return {
      images: images
        .filter(({ chainId, removedAtMs }) => removedAtMs === undefined && layers.has(chainId))
        .map((image) => ({ image, exclusiveBytes: exclusive.get(idOf(image)) ?? 0 }))
        .sort((one, other) => other.exclusiveBytes - one.exclusiveBytes),
      sharedBytes,
      otherBytes,
      unclaimedBytes,
      removalBytes: removalRecords(database).reduce(
        (sum, { usedBytes, inheritedBytes }) => sum + Math.max(0, (usedBytes ?? 0) - inheritedBytes),
        0,
      ),
    };
  });

interface Row {
  readonly number: number;
  readonly parent: number | null;
  readonly device: number;
  readonly usedBytes: number | null;
}

/** What committed snapshots hold that are no layers, each device once. */
function othersThan(database: Database, layers: readonly UsedLayer[]): number {
  const { number, parent, device, usedBytes } = snapshots;
  const rows: Row[] = database.drizzle
    .select({ number, parent, device, usedBytes })
    .from(snapshots)
    .where(eq(snapshots.kind, "committed"))
    .all();
  const used = new Map(rows.map((row) => [row.number, row.usedBytes ?? 0]));
  const counted = new Set(layers.map(({ deviceNumber }) => deviceNumber));
  let bytes = 0;
  for (const row of rows) {
    if (counted.has(row.device)) continue;
    counted.add(row.device);
    bytes += Math.max(0, (row.usedBytes ?? 0) - (row.parent === null ? 0 : (used.get(row.parent) ?? 0)));
  }
  return bytes;
}
