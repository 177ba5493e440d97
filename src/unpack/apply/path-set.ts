// Room: unpack. Owns a set of paths that takes eight bytes for each, however long it is.
import type { ByteString } from "../../system/tree/bytes.ts";

/** Two million paths just fit into segments of 8192 slots. */
const segmentCount = 340;
const firstSlots = 16;
const slash = 0x2f;

/**
 * Paths are stored as 64 bits of a hash with a random seed. With two million paths in it, a path that was never added is
 * reported with a probability of about 1 in 10^13.
 */
export class PathSet {
  readonly #hash = new PathHash();
  readonly #segments: Segment[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(directory: ByteString, name: ByteString): void {
    this.#hash.start().join(directory, name).finish();
    const { low, high } = this.#hash;
    const segment = high % segmentCount;
    this.#segments[segment] ??= new Segment();
    if (this.#segments[segment].add(low, high)) this.#size++;
  }

  has(directory: ByteString, name: ByteString): boolean {
    if (this.#size === 0) return false;
    this.#hash.start().join(directory, name);
    return this.#hasCurrent();
  }

  /** Whether `path`, a directory above it, or the root ("") was added. */
  hasAbove(path: ByteString): boolean {
    if (this.#size === 0) return false;
    this.#hash.start();
    if (this.#hasCurrent()) return true;
    for (let start = 0; start < path.length; ) {
      const end = path.indexOf("/", start);
      this.#hash.text(path, Math.max(0, start - 1), end === -1 ? path.length : end);
      if (this.#hasCurrent()) return true;
      if (end === -1) return false;
      start = end + 1;
    }
    return false;
  }

  #hasCurrent(): boolean {
    this.#hash.finish();
    const { low, high } = this.#hash;
    return this.#segments[high % segmentCount]?.has(low, high) === true;
  }
}

/** Two hashes of 32 bits, updated for each character, so that a path's hash passes through those of its parents. */
class PathHash {
  readonly #seed = crypto.getRandomValues(new Uint32Array(2));
  #one = 0;
  #two = 0;
  /** After `finish`; never both 0. */
  low = 0;
  high = 0;

  start(): this {
    this.#one = this.#seed[0] ?? 0;
    this.#two = this.#seed[1] ?? 0;
    return this;
  }

  join(directory: ByteString, name: ByteString): this {
    this.text(directory, 0, directory.length);
    if (directory !== "" && name !== "") this.#byte(slash);
    this.text(name, 0, name.length);
    return this;
  }

  text(text: ByteString, from: number, to: number): void {
    for (let at = from; at < to; at++) this.#byte(text.charCodeAt(at));
  }

  #byte(byte: number): void {
    const one = Math.imul(this.#one ^ byte, 0x9e3779b1);
    const two = Math.imul(this.#two ^ byte, 0x85ebca6b);
    this.#one = (one << 13) | (one >>> 19);
    this.#two = (two << 17) | (two >>> 15);
  }

  finish(): void {
    this.low = mixed(this.#one ^ Math.imul(this.#two, 0xc2b2ae35));
    this.high = mixed(this.#two ^ Math.imul(this.#one, 0x27d4eb2f));
    if (this.low === 0 && this.high === 0) this.low = 1;
  }
}

/** The finalizer of MurmurHash3. */
function mixed(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** Open addressing. Segments grow one by one, so that growth needs no second copy of all. */
class Segment {
  #pairs = new Uint32Array(2 * firstSlots);
  #count = 0;

  has(low: number, high: number): boolean {
    const at = this.#find(low, high);
    return this.#pairs[at] !== 0 || this.#pairs[at + 1] !== 0;
  }

  /** Whether it is new. */
  add(low: number, high: number): boolean {
    if (this.has(low, high)) return false;
    if (this.#count * 8 >= this.#pairs.length * 3) this.#grow();
    this.#put(low, high);
    this.#count++;
    return true;
  }

  #put(low: number, high: number): void {
    const at = this.#find(low, high);
    this.#pairs[at] = low;
    this.#pairs[at + 1] = high;
  }

  /** Where the pair is, or the free place for it. */
  #find(low: number, high: number): number {
    const pairs = this.#pairs;
    const last = pairs.length - 1;
    let at = (low * 2) & last;
    while ((pairs[at] !== low || pairs[at + 1] !== high) && (pairs[at] !== 0 || pairs[at + 1] !== 0)) {
      at = (at + 2) & last;
    }
    return at;
  }

  #grow(): void {
    const old = this.#pairs;
    this.#pairs = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 2) {
      const [low = 0, high = 0] = [old[at], old[at + 1]];
      if (low !== 0 || high !== 0) this.#put(low, high);
    }
  }
}
