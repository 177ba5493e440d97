// Room: test. Owns layers and images in a database as unpacks leave them, and how many statements are prepared on it.
import { chainId, digest, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import type { Database } from "../../src/metadata/database.ts";
import { listImages, recordImage } from "../../src/metadata/images.ts";
import type { SnapshotRecord } from "../../src/metadata/snapshots.ts";
import { addCommitted } from "./support.ts";

const platform = "linux/amd64";
export const sha = (text: string) => `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;

/** A committed layer as an unpack leaves it. `usedBytes`: with what is below. */
export const addLayer = (
  database: Database,
  name: string,
  usedBytes: number,
  parent?: SnapshotRecord,
  operation = "op-ended",
) =>
  addCommitted(database, sha(name), usedBytes, {
    inScope: ownScope,
    ...(parent && { parent }),
    labels: { [labelNames.unpackBytes]: "1", [labelNames.unpackOperation]: operation },
  });

/** The image of these layers, bottom first, under a name. */
export function addImage(database: Database, name: string, chain: readonly string[]): void {
  const chains = chain.map((layer) => chainId(sha(layer)));
  const top = chains.at(-1) ?? chainId("");
  const facts = { digest: digest(sha("blob")), compressedBytes: 1, bytes: 1, cached: false, ms: 1 };
  recordImage(database, {
    image: name,
    platform,
    manifestDigest: digest(sha(name)),
    chainId: top,
    snapshot: snapshotKey(top),
    layers: chains.map((chainId) => ({ ...facts, chainId, diffId: chainId as string as never })),
  });
}

export const imageOf = (database: Database, name: string) => {
  const image = listImages(database).find(({ manifestDigest }) => (manifestDigest as string) === sha(name));
  if (image === undefined) throw new Error(`no image ${name}`);
  return image;
};

/** How many statements `run` prepares on this database. */
export function statementsPrepared(database: Database, run: () => unknown): number {
  const client = (database.drizzle as unknown as { $client: { prepare(text: string): unknown } }).$client;
  const prepare = client.prepare.bind(client);
  let prepared = 0;
  client.prepare = (text) => {
    prepared += 1;
    return prepare(text);
  };
  try {
    run();
  } finally {
    client.prepare = prepare;
  }
  return prepared;
}
