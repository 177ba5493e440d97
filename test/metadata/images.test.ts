// Tests the records of images: their names, which image a digest is, and how records of an older program are kept.
import { Database as SqliteDatabase } from "bun:sqlite";
import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { migrate } from "drizzle-orm/bun-sqlite/migrator";
import { chainId, diffId, digest, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { type Database, openDatabase } from "../../src/metadata/database.ts";
import {
  dropName,
  findImage,
  findName,
  forgetImagesOf,
  type ImageRecord,
  listImages,
  pinnedImageOn,
  recordImage,
  setPinned,
} from "../../src/metadata/images.ts";
import { addCommitted, temporaryDatabase } from "./support.ts";

const platform = "linux/amd64";
const sha = (digit: string) => `sha256:${digit.repeat(64)}`;

const image = (reference: string, manifest: string, chain = manifest): ImageRecord => ({
  image: reference,
  platform,
  manifestDigest: digest(sha(manifest)),
  chainId: chainId(sha(chain)),
  snapshot: snapshotKey(sha(chain)),
  layers: [
    {
      digest: digest(sha("c")),
      diffId: diffId(sha("d")),
      chainId: chainId(sha(chain)),
      compressedBytes: 1,
      bytes: 2,
      cached: false,
      ms: 3,
    },
  ],
});

/** Each image's digit, with its names. */
const named = (database: Database): [string, string[]][] =>
  listImages(database).map(({ manifestDigest, names }) => [
    manifestDigest.charAt(7),
    names.map(({ reference }) => reference),
  ]);

test("a name that moves leaves its image without one, and an image may have several", () => {
  using database = temporaryDatabase();
  recordImage(database, image("oci:/b", "1"));
  recordImage(database, image("oci:/a", "2"));
  recordImage(database, image("oci:/b", "2"));
  expect(named(database)).toEqual([
    ["1", []],
    ["2", ["oci:/a", "oci:/b"]],
  ]);
  const [dangling, both] = listImages(database);
  expect(dangling).toMatchObject({ chainId: sha("1"), layers: image("", "1").layers });
  expect(both?.names[1]?.firstAtMs).toBeGreaterThanOrEqual(dangling?.lastAskedAtMs ?? Number.NaN);
  dropName(database, { reference: "oci:/a", platform });
  expect(named(database)).toContainEqual(["2", ["oci:/b"]]);
  forgetImagesOf(database, snapshotKey(sha("2")));
  expect(named(database)).toEqual([["1", []]]);
  expect(findName(database, { reference: "oci:/b", platform })).toBeUndefined();
});

test("an image that is asked for again keeps when it was unpacked, its name since when it means it, and its pin", async () => {
  using database = temporaryDatabase();
  recordImage(database, image("oci:/a", "1"));
  const [first] = listImages(database);
  if (first === undefined) throw new Error("nothing was recorded");
  setPinned(database, first, true);
  const pinnedAtMs = listImages(database)[0]?.pinnedAtMs;
  while (Date.now() === first.lastAskedAtMs) await new Promise(setImmediate);
  recordImage(database, image("oci:/a", "1"));
  setPinned(database, first, true);
  const [again] = listImages(database);
  expect(again).toMatchObject({ unpackedAtMs: first.unpackedAtMs, pinnedAtMs });
  expect(again?.names).toMatchObject([{ firstAtMs: first.unpackedAtMs, lastAskedAtMs: again?.lastAskedAtMs }]);
  expect(again?.lastAskedAtMs).toBeGreaterThan(first.lastAskedAtMs);
  expect(pinnedImageOn(database, snapshotKey(first.chainId))).toEqual(again);
  setPinned(database, first, false);
  expect(pinnedImageOn(database, snapshotKey(first.chainId))).toBeUndefined();
});

test("an image is found by its manifest's digest and by what a registry says of its name, while it is there", () => {
  using database = temporaryDatabase();
  recordImage(database, { ...image("docker://r/a:1", "1"), resolvedDigest: digest(sha("9")) });
  expect(findImage(database, digest(sha("1")), platform)).toBeUndefined();
  addCommitted(database, sha("1"), 0, { inScope: ownScope });
  for (const known of ["1", "9"]) {
    expect(findImage(database, digest(sha(known)), platform)?.manifestDigest as string).toBe(sha("1"));
    expect(findImage(database, digest(sha(known)), "linux/arm64/v8")).toBeUndefined();
  }
  expect(findImage(database, digest(sha("2")), platform)).toBeUndefined();
  recordImage(database, image("docker://r/a:1", "1"));
  expect(findImage(database, digest(sha("9")), platform)).toBeDefined();
  recordImage(database, image("docker://r/a:1", "2"));
  expect(findImage(database, digest(sha("9")), platform)).toBeUndefined();
});

test("records of a program that knew one image a reference are kept, and several of one manifest become one image", () => {
  const directory = mkdtempSync(join(tmpdir(), "snapmill-images-"));
  try {
    const path = join(directory, "metadata.db");
    makeOldDatabase(directory, path);
    const client = new SqliteDatabase(path);
    const add = client.query("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)");
    add.run("oci:/a", platform, sha("1"), sha("a"), JSON.stringify(image("", "1").layers), 1000);
    add.run("oci:/b", platform, sha("1"), sha("a"), JSON.stringify(image("", "1").layers), 3000);
    add.run("oci:/c", platform, sha("2"), sha("b"), "[]", 2000);
    client.close();
    using database = openDatabase(path, { mode: "readwrite" });
    expect(listImages(database)).toMatchObject([
      {
        manifestDigest: sha("1"),
        platform,
        chainId: sha("a"),
        layers: image("", "1").layers,
        unpackedAtMs: 1000,
        lastAskedAtMs: 3000,
        pinnedAtMs: undefined,
        names: [
          { reference: "oci:/a", firstAtMs: 1000, lastAskedAtMs: 1000 },
          { reference: "oci:/b", firstAtMs: 3000, lastAskedAtMs: 3000, resolvedDigest: undefined },
        ],
      },
      { manifestDigest: sha("2"), chainId: sha("b"), layers: [], names: [{ reference: "oci:/c" }] },
    ]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** A database as the program made it whose last migration was the one before images had names. */
function makeOldDatabase(directory: string, path: string): void {
  const migrationsFolder = join(directory, "drizzle");
  cpSync(join(import.meta.dir, "../../drizzle"), migrationsFolder, { recursive: true });
  const journal = join(migrationsFolder, "meta/_journal.json");
  const known = JSON.parse(readFileSync(journal, "utf8")) as { entries: { tag: string }[] };
  const end = known.entries.findIndex(({ tag }) => tag.endsWith("_images_and_names"));
  writeFileSync(journal, JSON.stringify({ ...known, entries: known.entries.slice(0, end) }));
  const client = new SqliteDatabase(path, { create: true });
  migrate(drizzle(client), { migrationsFolder });
  client.close();
}
