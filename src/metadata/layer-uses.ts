// Room: metadata. Owns what uses each unpacked layer: which of them an image has for itself, and which nothing uses.
import { desc, inArray } from "drizzle-orm";
import { type ChainId, isChainId, ownScope, type SnapshotKey } from "../domain/identifiers.ts";
import { labelNames } from "../domain/snapshots.ts";
import { type Database, readConsistently } from "./database.ts";
import { type Image, idOf, listImages } from "./images.ts";
import { pendingOperations } from "./outbox.ts";
import { labels, snapshots } from "./schema.ts";

/** A committed layer in snapmill's own scope. */
export interface UsedLayer {
  readonly number: number;
  readonly chainId: ChainId;
  readonly parentNumber: number | undefined;
  readonly deviceNumber: number;
  /** What its device maps and its parent's does not, as measured at commit; never below nothing. */
  readonly ownBytes: number;
  readonly users: Users;
}

/** What uses a layer, directly or through the layers above it. */
export interface Users {
  /** Images that are to stay: one by `idOf`, `several`, or none. */
  readonly image: string | undefined;
  /** One of the other users, in words: a snapshot of a user's, a client of the socket, an unpack. */
  readonly other: string | undefined;
}

/** No image's ID. */
export const several = "several";

export interface LayerUses {
  readonly images: readonly Image[];
  /** Every layer by chain ID, those above before those below. */
  readonly layers: ReadonlyMap<ChainId, UsedLayer>;
}

/**
 * The uses of all layers, in a fixed number of statements and one pass. `without`: images, by `idOf`, that are taken for
 * removed, to see what would become free.
 */
export const readLayerUses = (database: Database, without: ReadonlySet<string> = new Set()): LayerUses =>
  readConsistently(database, () => {
    const images = listImages(database);
    const staying = images.filter((image) => image.removedAtMs === undefined && !without.has(idOf(image)));
    return { images, layers: usesOf(readFacts(database, images), staying) };
  });

function usesOf(facts: Facts, images: readonly Image[]): Map<ChainId, UsedLayer> {
  const tops = Map.groupBy(images, ({ chainId }) => chainId as string);
  const layers = new Map<ChainId, UsedLayer>();
  const fromAbove = new Map<number, Users>();
  // A child is always made after its parent: each row comes after all that is on it.
  for (const row of facts.rows) {
    if (row.scope !== ownScope) continue;
    const { number, device: deviceNumber } = row;
    const isLayer = facts.isLayer(row);
    const own = isLayer
      ? { image: someImage(tops.get(row.key)), other: facts.otherUser(row) }
      : { image: undefined, other: `snapshot ${JSON.stringify(row.key)}` };
    const users = together(own, fromAbove.get(number));
    if (row.parent !== null) fromAbove.set(row.parent, together(users, fromAbove.get(row.parent)));
    if (!isLayer) continue;
    const chainId = row.key as string as ChainId;
    const parentNumber = row.parent ?? undefined;
    layers.set(chainId, { number, chainId, parentNumber, deviceNumber, ownBytes: facts.ownBytes(row), users });
  }
  return layers;
}

/** Layers that nothing uses, those above before those below: each can be removed once those before it are. */
export const unusedLayers = ({ layers }: LayerUses): UsedLayer[] =>
  [...layers.values()].filter(({ users }) => users.image === undefined && users.other === undefined);

/** What an image's layers hold in the pool: for it alone, and with other users. Layers that are gone hold nothing. */
export function bytesOf({ layers }: LayerUses, image: Image): { exclusiveBytes: number; sharedBytes: number } {
  const id = idOf(image);
  const bytes = { exclusiveBytes: 0, sharedBytes: 0 };
  for (const { chainId } of image.layers) {
    const layer = layers.get(chainId);
    if (layer === undefined) continue;
    const isOnlyOurs = layer.users.image === id && layer.users.other === undefined;
    bytes[isOnlyOurs ? "exclusiveBytes" : "sharedBytes"] += layer.ownBytes;
  }
  return bytes;
}

const someImage = (images: readonly Image[] = []): Users["image"] => {
  const [image] = images;
  if (image === undefined) return undefined;
  return images.length === 1 ? idOf(image) : several;
};

const together = (one: Users, another: Users | undefined): Users =>
  another === undefined ? one : { image: eitherImage(one.image, another.image), other: one.other ?? another.other };

function eitherImage(one: Users["image"], another: Users["image"]): Users["image"] {
  if (one === undefined) return another;
  return another === undefined || another === one ? one : several;
}

interface SnapshotRow {
  readonly number: number;
  readonly scope: string;
  readonly key: SnapshotKey;
  readonly kind: string;
  readonly parent: number | null;
  readonly device: number;
  readonly usedBytes: number | null;
}

type Facts = ReturnType<typeof readFacts>;

function readFacts(database: Database, images: readonly Image[]) {
  const rows: SnapshotRow[] = readRows(database);
  const byNumber = new Map(rows.map((row) => [row.number, row]));
  const others = new Map(rows.flatMap(({ scope, device }) => (scope === ownScope ? [] : [[device, scope] as const])));
  const ofImages = new Set(images.flatMap(({ layers }) => layers.map(({ chainId }) => chainId as string)));
  const pending = pendingOperations(database, "unpack");
  const marked = readMarks(database);
  return {
    rows,
    /** By its name and label, or because an image is known to have it: users can change labels. */
    isLayer: ({ number, key, kind }: SnapshotRow): boolean =>
      kind === "committed" && (ofImages.has(key) || (isChainId(key) && marked.unpacked.has(number))),
    otherUser: ({ number, device }: SnapshotRow): string | undefined => {
      const scope = others.get(device);
      if (scope !== undefined) return `a client of the socket (scope ${scope})`;
      const operation = marked.operations.get(number);
      return operation !== undefined && pending.has(operation) ? `unpack ${operation}, which has not ended` : undefined;
    },
    ownBytes: ({ parent, usedBytes }: SnapshotRow): number =>
      Math.max(0, (usedBytes ?? 0) - (parent === null ? 0 : (byNumber.get(parent)?.usedBytes ?? 0))),
  };
}

const readRows = (database: Database): SnapshotRow[] => {
  const { number, scope, key, kind, parent, device, usedBytes } = snapshots;
  return database.drizzle
    .select({ number, scope, key, kind, parent, device, usedBytes })
    .from(snapshots)
    .orderBy(desc(number))
    .all();
};

/** Which snapshots say that an unpack made them, and which unpack that was. */
function readMarks(database: Database) {
  const unpacked = new Set<number>();
  const operations = new Map<number, string>();
  const found = database.drizzle
    .select()
    .from(labels)
    .where(inArray(labels.name, [labelNames.unpackBytes, labelNames.unpackOperation]))
    .all();
  for (const { snapshot, name, value } of found) {
    if (name === labelNames.unpackOperation) operations.set(snapshot, value);
    else unpacked.add(snapshot);
  }
  return { unpacked, operations };
}
