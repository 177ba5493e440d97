// Room: test. Owns random layers from a seed: entries that conflict, PAX records that lie, and damaged bytes.
import { type HeaderFields, header, paddingOf, paxHeader, putChecksum } from "../../support/tar.ts";

/** Numbers from 0 to 1, the same for one seed: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// What is usual, and what may be refused: mostly the former, or hardly a layer would get beyond its first entries.
const parts = ["a", "b", "c", "l", "m", "a", "b"];
const oddParts = ["..", ".", "", ".wh..wh.x", "n".repeat(256), ".wh.a", "\xff"];
const names = ["a", "b", "c", "l", "m", "f", ".wh.a", ".wh.b", ".wh.l", ".wh..wh..opq"];
const oddNames = ["", ".", "..", ".wh..", ".wh.", ".wh..wh.x", "n".repeat(256)];
const targets = ["a", "/b", "../a", "m/l", "../../../../victim", "/", "a/b/c", "m", "../victim/f", "l"];
const oddTargets = ["", ".", "a\0b", "t".repeat(99)];
const types = ["0", "0", "0", "0", "5", "5", "5", "2", "2", "6", "\0"];
const oddTypes = ["1", "3", "4", "7", "S", "g", "L", "K", "9", "x"];
const owners = ["0", "-1", "-2", "4294967294", "4294967295", "1e3", "", "99999999999999999999"];
const values = ["", "0", "1", "512", "-1", "x", "1.5", "4096,10", "0,512,1024,1", "3", "a\0b", "9007199254740991", "%"];
const keys = [
  "path",
  "linkpath",
  "size",
  "mtime",
  "atime",
  "uid",
  "comment",
  "GNU.sparse.major",
  "GNU.sparse.minor",
  "GNU.sparse.realsize",
  "GNU.sparse.size",
  "GNU.sparse.map",
  "GNU.sparse.offset",
  "GNU.sparse.name",
  "SCHILY.xattr.user.a",
  "SCHILY.xattr.trusted.b%3D%20",
  "SCHILY.xattr.security.capability",
  "SCHILY.xattr.system.posix_acl_default",
  "SCHILY.xattr.",
  "LIBARCHIVE.xattr.user.%zz",
];

/** The makers of one layer, all from the same numbers. */
export class RandomLayers {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #of<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  #mostly<Item>(usual: readonly Item[], odd: readonly Item[]): Item {
    return this.#of(this.below(30) === 0 ? odd : usual);
  }

  #path(): string {
    const way = Array.from({ length: this.below(3) }, () => this.#mostly(parts, oddParts));
    return [...way, this.#mostly(names, oddNames)].join("/");
  }

  #records(): (readonly [string, string])[] {
    return Array.from({ length: 1 + this.below(3) }, () => {
      const key = this.#of(keys);
      if (key === "path" || key === "GNU.sparse.name") return [key, this.#path()] as const;
      if (key === "linkpath") return [key, this.#mostly(targets, oddTargets)] as const;
      // The kernel takes an empty one, and then fails to read it.
      if (key === "SCHILY.xattr.security.capability") return [key, "none"] as const;
      return [key, key === "uid" ? this.#of(owners) : this.#of(values)] as const;
    });
  }

  #entry(): Buffer[] {
    const typeflag = this.#mostly(types, oddTypes);
    const content = Buffer.alloc(hasContent(typeflag) && this.below(3) === 0 ? this.below(1200) : 0, "x");
    const fields: HeaderFields = {
      name: Buffer.from(this.#path()),
      typeflag,
      sizeBytes: content.length,
      mode: this.below(0o10000),
      uid: this.below(4) === 0 ? -2 : 0,
      linkName: Buffer.from(this.#mostly(targets, oddTargets)),
      device: { major: this.below(5), minor: this.below(5) },
    };
    const block = header(fields);
    if (typeflag === "S" || this.below(40) === 0) block.write(String(this.below(8)), 386 + this.below(100), "latin1");
    const pax = this.below(20) === 0 ? [paxHeader(this.below(5) === 0 ? "g" : "x", this.#records())] : [];
    return [...pax, putChecksum(block), content, paddingOf(content.length)];
  }

  /** Some entries, of which a few bytes may be wrong and some may be missing at the end. */
  layer(): Buffer {
    const entries = Array.from({ length: 2 + this.below(14) }, () => this.#entry()).flat();
    const bytes = Buffer.concat([...entries, Buffer.alloc(1024)]);
    if (this.below(3) > 0) return bytes;
    for (let changes = this.below(5); changes > 0; changes--) bytes[this.below(bytes.length)] = this.below(256);
    if (this.below(4) > 0) mendChecksums(bytes);
    return this.below(4) === 0 ? bytes.subarray(0, this.below(bytes.length)) : bytes;
  }
}

const hasContent = (typeflag: string): boolean => !/[1-6]/.test(typeflag);

/** Makes the checksum right in every block that looks like a header: damage then gets past it. */
function mendChecksums(bytes: Buffer): void {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (bytes.toString("latin1", at + 257, at + 262) === "ustar") putChecksum(bytes.subarray(at, at + 512));
  }
}
