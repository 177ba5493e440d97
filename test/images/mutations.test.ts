import { describe, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCodes, isSnapmillError } from "../../src/domain/errors.ts";
import { openImage } from "../../src/images/resolve.ts";
import { temporaryDirectory } from "../support/directories.ts";
import {
  type BuiltImage,
  blobForms,
  blobPath,
  compressed,
  mediaTypes,
  putBlob,
  putJson,
  writeEntryPoints,
  writeLayout,
} from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { file, hardLink } from "../support/tar-entries.ts";

const platform = "linux/amd64";

/** Set SNAPMILL_TEST_SEED to repeat a failure. */
const seed = Number(Bun.env["SNAPMILL_TEST_SEED"] ?? Date.now() % 2 ** 31);

/** Numbers from 0 up to `below`, the same for the same seed. */
function numbers(start: number): (below: number) => number {
  let state = start | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
type Pick = ReturnType<typeof numbers>;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Place = readonly (string | number)[];

function placesOf(value: Json, here: Place = []): Place[] {
  if (typeof value !== "object" || value === null) return [here];
  return [
    here,
    ...Object.entries(value).flatMap(([key, inner]) =>
      placesOf(inner, [...here, Array.isArray(value) ? Number(key) : key]),
    ),
  ];
}

/** The value with what is at `place` replaced; undefined takes it away. */
function replaced(value: Json, place: Place, by: Json | undefined): Json | undefined {
  const [key, ...rest] = place;
  if (key === undefined) return by;
  if (Array.isArray(value)) {
    return value.flatMap((item, at) => {
      const next = at === key ? replaced(item, rest, by) : item;
      return next === undefined ? [] : [next];
    });
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(
    ([name, item]) => [name, name === key ? replaced(item, rest, by) : item] as const,
  );
  return Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined));
}

const odd: readonly (Json | undefined)[] = [
  undefined,
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  1e308,
  "",
  "\0",
  "constructor",
  "__proto__",
  "sha256:",
  `sha256:${"F".repeat(64)}`,
  `sha512:${"0".repeat(128)}`,
  "../../../etc/passwd",
  "\ud800",
  "x".repeat(100_000),
  [],
  [null],
  [[[[]]]],
  {},
  { os: null },
  { "": "" },
  ...Object.values(mediaTypes.oci).filter((type) => typeof type === "string"),
];

/** One or a few mutations. */
function mutated(document: Json, pick: Pick): Json | undefined {
  let current: Json | undefined = document;
  for (let count = 1 + pick(3); count > 0 && current !== undefined; count -= 1) {
    const places = placesOf(current);
    current = replaced(current, places[pick(places.length)] ?? [], odd[pick(odd.length)]);
  }
  return current;
}

/** The text of a document; now and then one that no parser should swallow. */
function written(document: Json | undefined, pick: Pick): string {
  const text = JSON.stringify(document) ?? "";
  switch (pick(20)) {
    case 0:
      return text.slice(0, pick(text.length + 1));
    case 1:
      return text.replace(/\d+/, "1e999");
    case 2:
      return `\ufeff${text}`;
    case 3:
      return text.replace("{", '{"__proto__":{"digest":7},');
    default:
      return text;
  }
}

/** An image, or an error of the closed set that names the reference and something of the image; no other error's text. */
async function expectVerdict(reference: string, what: string): Promise<"image" | "error"> {
  try {
    await using image = await openImage(reference, platform);
    expect(image.layers.length, what).toBeGreaterThan(0);
    return "image";
  } catch (error) {
    if (!isSnapmillError(error)) throw new Error(`${what}: ${String(error)}`, { cause: error });
    expect([...errorCodes], what).toContain(error.code);
    expect(String(error.code), what).not.toBe("internal");
    expect(error.message, what).toStartWith(`image ${reference}: `);
    expect(error.message, what).toMatch(/index|manifest|config|layer|layout|archive|image|documents|is not for/);
    expect(error.message, what).not.toMatch(
      /TypeError|RangeError|undefined|is not (?:a function|an object|iterable)|\[object/,
    );
    expect(error.message.length, what).toBeLessThan(2500);
    return "error";
  }
}

interface Document {
  readonly name: string;
  readonly value: Json;
}

type Write = (name: string, text: string) => Promise<string>;

/** Every document with null in each place, then rounds of random mutations. Both verdicts must come up. */
async function applyMutations(documents: readonly Document[], write: Write, rounds: number): Promise<void> {
  const pick = numbers(seed);
  const seen = new Set<string>();
  const judge = async (name: string, text: string) => {
    seen.add(await expectVerdict(await write(name, text), `seed ${seed}, ${name}: ${text.slice(0, 3000)}`));
  };
  for (const { name, value } of documents) {
    for (const place of placesOf(value)) await judge(name, JSON.stringify(replaced(value, place, null)));
  }
  for (let round = 0; round < rounds; round += 1) {
    const document = documents[pick(documents.length)];
    if (document !== undefined) await judge(document.name, written(mutated(document.value, pick), pick));
  }
  expect([...seen].sort()).toEqual(["error", "image"]);
}

const jsonAt = async (path: string): Promise<Json> => JSON.parse(await readFile(path, "utf8")) as Json;

async function builtImage(layout: string): Promise<BuiltImage> {
  const { images } = await writeLayout(layout, [
    { image: { platform: "linux/amd64/v1", layers: [{ content: [file("a")], form: "none" }] } },
  ]);
  const [image] = images;
  if (image === undefined) throw new Error("no image");
  return image;
}

console.log(`mutations of documents: seed ${seed}`);

describe("any document results in an image, or in an error that names the document", () => {
  test("in a layout", async () => {
    await using directory = await temporaryDirectory();
    const layout = directory.path;
    const { manifest, config } = await builtImage(layout);
    const types = mediaTypes.oci;
    const [manifestJson, configJson] = [
      await jsonAt(blobPath(layout, manifest.digest)),
      await jsonAt(blobPath(layout, config.digest)),
    ];
    const annotations = { "org.opencontainers.image.ref.name": "v1" };
    const entry = { ...manifest, platform: { os: "linux", architecture: "amd64", variant: "v1" }, annotations };
    const index = { schemaVersion: 2, mediaType: types.index, manifests: [entry as Json] };
    const put = (type: string, text: string) => putBlob(layout, type, Buffer.from(text));
    const write: Write = async (name, text) => {
      await writeEntryPoints(layout, [manifest]);
      if (name === "oci-layout" || name === "index.json") await writeFile(join(layout, name), text);
      if (name === "index") await writeEntryPoints(layout, [await put(types.index, text)]);
      if (name === "manifest") await writeEntryPoints(layout, [await put(types.manifest, text)]);
      if (name === "config") {
        const changed = await put(types.config, text);
        const outer = { ...(manifestJson as object), config: changed };
        await writeEntryPoints(layout, [await putJson(layout, types.manifest, outer)]);
      }
      return `oci:${layout}`;
    };
    await applyMutations(
      [
        { name: "oci-layout", value: { imageLayoutVersion: "1.0.0" } },
        { name: "index.json", value: index },
        { name: "index", value: index },
        { name: "manifest", value: manifestJson },
        { name: "config", value: configJson },
      ],
      write,
      600,
    );
  });

  test("in a docker archive", async () => {
    await using directory = await temporaryDirectory();
    const { config, layers } = await builtImage(join(directory.path, "layout"));
    const archive = join(directory.path, "image.tar");
    const configJson = await jsonAt(blobPath(join(directory.path, "layout"), config.digest));
    const layer = await readFile(blobPath(join(directory.path, "layout"), layers[0]?.digest ?? ""));
    const manifest = [{ Config: "config.json", RepoTags: ["app:v1"], Layers: ["layer.tar"] }];
    const texts = { "manifest.json": JSON.stringify(manifest), "config.json": JSON.stringify(configJson) };
    const write: Write = async (name, text) => {
      const members = Object.entries({ ...texts, [name]: text }).map(([member, bytes]) => file(member, bytes));
      await writeFile(archive, tar([...members, file("layer.tar", layer)]));
      return `docker-archive:${archive}`;
    };
    const documents = [
      { name: "manifest.json", value: manifest },
      { name: "config.json", value: configJson },
    ];
    await applyMutations(documents, write, 300);
  });
});

test("any bytes of an archive result in an image or an error", async () => {
  await using directory = await temporaryDirectory();
  const layout = join(directory.path, "layout");
  const { config, layers } = await builtImage(layout);
  const manifest = [{ Config: "config.json", RepoTags: ["app:v1"], Layers: ["linked"] }];
  const whole = tar([
    file("config.json", await readFile(blobPath(layout, config.digest))),
    file(`${"long-".repeat(30)}name`, await readFile(blobPath(layout, layers[0]?.digest ?? ""))),
    hardLink("linked", `${"long-".repeat(30)}name`),
    file("manifest.json", JSON.stringify(manifest)),
  ]);
  const pick = numbers(seed);
  const archive = join(directory.path, "image.tar");
  const seen = new Set<string>();
  for (let round = 0; round < 300; round += 1) {
    const bytes = Buffer.from(whole);
    for (let count = pick(4); count > 0; count -= 1)
      bytes[pick(bytes.length)] = [0, 0x30, 0x37, 0x80, 0xff, 0x78][pick(6)] ?? 0;
    const form = blobForms[pick(blobForms.length)] ?? "none";
    const stored = compressed(bytes, form);
    if (pick(4) === 0) stored[pick(stored.length)] = pick(256);
    await writeFile(archive, pick(8) === 0 ? stored.subarray(0, pick(stored.length)) : stored);
    seen.add(await expectVerdict(`docker-archive:${archive}`, `seed ${seed}, round ${round} (${form})`));
  }
  expect([...seen].sort()).toEqual(["error", "image"]);
});
