// Room: scripts. Owns the check of a foreign image: GNU tar reads every layer and compares it with the files.
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { open } from "node:fs/promises";
import { posix } from "node:path";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { ImageLayer } from "../src/images/image.ts";
import { formatPlatform, hostPlatform } from "../src/images/platform.ts";
import { openImage } from "../src/images/resolve.ts";
import type { Comparison } from "./demo-report.ts";

/** A member of a layer, as tar lists it. Paths are bytes, as latin1, from the root without a leading slash. */
interface Member {
  readonly path: string;
  readonly isDirectory: boolean;
}

/** What the layers above have decided: a lower layer's word on it no longer counts. */
class Decided {
  readonly #paths = new Set<string>();
  /** Nothing of a lower layer is left at these, or below. */
  readonly #cleared = new Set<string>();
  /** Nothing of a lower layer is left below these. */
  readonly #emptied = new Set<string>();

  hides(path: string): boolean {
    if (this.#paths.has(path) || this.#cleared.has(path)) return true;
    for (let parent = posix.dirname(path); ; parent = posix.dirname(parent)) {
      if (this.#cleared.has(parent) || this.#emptied.has(parent)) return true;
      if (parent === ".") return false;
    }
  }

  /** Takes a whole layer in: its files stand above those of the layers that come after it here. */
  add(members: readonly Member[]): void {
    for (const { path, isDirectory } of members) {
      const name = posix.basename(path);
      if (name === opaqueName) this.#emptied.add(posix.dirname(path));
      else if (name.startsWith(whiteoutPrefix)) this.#cleared.add(whiteoutTarget(path));
      else {
        this.#paths.add(path);
        if (!isDirectory) this.#cleared.add(path);
      }
    }
  }
}

const whiteoutPrefix = ".wh.";
const opaqueName = ".wh..wh..opq";
const isWhiteout = (path: string): boolean => posix.basename(path).startsWith(whiteoutPrefix);
const whiteoutTarget = (path: string): string =>
  posix.join(posix.dirname(path), posix.basename(path).slice(whiteoutPrefix.length));

/** Compares, from the top layer down, what no higher layer decides; then looks for what should not be there. */
export async function compareByTar(reference: string, mountpoint: string, signal: AbortSignal): Promise<Comparison> {
  await using image = await openImage(reference, formatPlatform(hostPlatform()), { signal });
  const locate = locator(mountpoint);
  const decided = new Decided();
  const known = new Set<string>();
  const differences: string[] = [];
  let compared = 0;
  for (const layer of image.layers.toReversed()) {
    const members = await listMembers(layer, locate, signal);
    const hidden = (path: string) => decided.hides(path) || isWhiteout(path);
    const isDecided = (name: string) => hidden(locate(pathOf(name)));
    differences.push(...(await differencesOf(layer, mountpoint, isDecided, signal)));
    const visible = members.filter(({ path }) => !hidden(path));
    compared += visible.length;
    for (const { path } of visible) addWithParents(known, path);
    decided.add(members);
  }
  const unknown = Array.from(
    unknownFiles(mountpoint, known),
    (path) => `${JSON.stringify(path)}: in no layer, or removed`,
  );
  return { compared, differences: [...differences, ...unknown] };
}

/** A directory may be there for the sake of what lies in it. */
function addWithParents(known: Set<string>, path: string): void {
  for (let name = path; name !== "." && !known.has(name); name = posix.dirname(name)) known.add(name);
}

const listing = /^(\S)\S* +\S+ +\S+ +\S+ +\S+ ((?:\\.|[^\\ ])+)/;

async function listMembers(
  layer: ImageLayer,
  locate: (path: string) => string,
  signal: AbortSignal,
): Promise<Member[]> {
  const { stdout } = await tar(layer, ["--list", "--verbose", "--quote-chars= "], signal);
  return stdout.split("\n").flatMap((line) => {
    const [, type, name] = listing.exec(line) ?? [];
    const path = name === undefined ? "" : locate(pathOf(name));
    return path === "" ? [] : [{ path, isDirectory: type === "d" }];
  });
}

const complaint = /^((?:\\.|[^\\:])+): (.*)$/;
const notLinked = /^Not linked to (.*)$/;

async function differencesOf(
  layer: ImageLayer,
  mountpoint: string,
  isDecided: (name: string) => boolean,
  signal: AbortSignal,
): Promise<string[]> {
  const { stdout, stderr } = await tar(layer, ["--diff", "--directory", mountpoint], signal);
  return `${stdout}\n${stderr}`.split("\n").flatMap((line) => {
    const [, name, what = ""] = complaint.exec(line.replace(/^tar: /, "")) ?? [];
    if (name === undefined || isDecided(name)) return [];
    const target = notLinked.exec(what)?.[1];
    if (target !== undefined && isDecided(target)) return [];
    return [`${name}: ${what}`];
  });
}

/** GNU tar on the uncompressed layer; its messages with odd characters escaped. */
async function tar(layer: ImageLayer, args: readonly string[], signal: AbortSignal) {
  const child = Bun.spawn(["tar", ...args, "--numeric-owner", "--quoting-style=escape", "--file", "-"], {
    env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    signal,
  });
  const words = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  for await (const chunk of await uncompressed(layer)) {
    await child.stdin.write(chunk);
    await child.stdin.flush();
  }
  await child.stdin.end();
  const [stdout, stderr] = await words;
  signal.throwIfAborted();
  if ((await child.exited) > 1 && args[0] === "--list")
    throw new Error(`tar could not read ${layer.digest}: ${stderr}`);
  return { stdout, stderr };
}

async function uncompressed({ blob, compression }: ImageLayer): Promise<AsyncIterable<Uint8Array>> {
  const file = await open(blob.path, "r");
  const stored = file.createReadStream({ start: blob.offsetBytes, end: blob.offsetBytes + blob.lengthBytes - 1 });
  switch (compression) {
    case "none":
      return stored;
    case "gzip":
      return stored.pipe(createGunzip());
    case "zstd":
      return stored.pipe(createZstdDecompress());
  }
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", v: "\v", a: "\x07" };

/** The path in `name`, which is written with escapes: `./a\ b/` is `a b`. */
function pathOf(name: string): string {
  const bytes = name.replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (escapes[code] ?? code),
  );
  return posix.join("/", bytes).replace(/\/$/, "").slice(1);
}

/**
 * Where a layer's path really leads: the directories above it may be symbolic links, which stay within the image. They
 * are read from the mounted files.
 */
function locator(mountpoint: string): (path: string) => string {
  const known = new Map<string, string>();
  const follow = (directory: string, hops = 0): string => {
    if (directory === "." || directory === "" || hops > 40) return "";
    const found = known.get(directory);
    if (found !== undefined) return found;
    const place = posix.join(follow(posix.dirname(directory), hops), posix.basename(directory));
    const leads = statusOf(mountpoint, place)?.isSymbolicLink()
      ? follow(posix.resolve("/", posix.dirname(place), linkTarget(mountpoint, place)).slice(1), hops + 1)
      : place;
    known.set(directory, leads);
    return leads;
  };
  return (path) => posix.join(follow(posix.dirname(path)), posix.basename(path));
}

const linkTarget = (mountpoint: string, path: string): string =>
  readlinkSync(inside(mountpoint, path), { encoding: "buffer" }).toString("latin1");

const inside = (mountpoint: string, path: string): Buffer =>
  Buffer.concat([Buffer.from(`${mountpoint}/`), Buffer.from(path, "latin1")]);

const statusOf = (mountpoint: string, path: string) => lstatSync(inside(mountpoint, path), { throwIfNoEntry: false });

/** What no layer has, or what a higher layer has removed. */
function* unknownFiles(mountpoint: string, known: ReadonlySet<string>, directory = ""): Generator<string> {
  for (const name of readdirSync(inside(mountpoint, directory), { encoding: "buffer" })) {
    const path = posix.join(directory, name.toString("latin1"));
    if (!known.has(path)) yield path;
    else if (statusOf(mountpoint, path)?.isDirectory()) yield* unknownFiles(mountpoint, known, path);
  }
}
