// Room: system. Owns ISA-L's inflate: finding the library, its structure, and a self-test that proves both at load.
import { dlopen, FFIType, type Pointer, ptr } from "bun:ffi";
import { readdirSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const soname = "libisal.so.2";
/** Where scripts/setup.sh unpacks Debian's packages when it does not install them. */
const privateTree = join(import.meta.dir, "../../../.tools/tree/usr/lib");
const systemTree = "/usr/lib";

const { i32, ptr: pointer } = FFIType;
const none = FFIType.void;
const functions = {
  isal_inflate_init: { args: [pointer], returns: none },
  isal_inflate: { args: [pointer], returns: i32 },
} as const;

/** igzip_lib.h of ISA-L 2.30 to 2.32: offsets in `struct inflate_state`, which has 87,368 bytes there. */
const offsets = {
  nextOut: 0,
  availableOut: 8,
  nextIn: 16,
  readIn: 24,
  availableIn: 32,
  readInBits: 36,
  blockState: 21_160,
  checksum: 21_172,
} as const;
/** No function tells the size: room for a later version that is larger. */
const stateBytes = 128 * 1024;
/** ISAL_GZIP_NO_HDR_VER: a gzip member from behind its header on; the trailer is compared. */
const gzipBody = 6;
/** ISAL_BLOCK_FINISH: the member is over, and its trailer was right. */
const finished = 5;
/** ISA-L 2.30 overruns its input near 4 GiB. */
const maxInputBytes = 2 ** 20;

/** isal_inflate's failures. */
const faults: Readonly<Record<number, string>> = {
  [-1]: "invalid block",
  [-2]: "invalid symbol",
  [-3]: "invalid distance",
  [-4]: "invalid wrapper",
  [-5]: "unsupported method",
  [-6]: "incorrect checksum",
};

/** The data is damaged. */
export class InflateError extends Error {
  override readonly name = "InflateError";
}

/** What one step did. Bytes that were read ahead of the end of the member are not counted in `readBytes`. */
export interface InflateStep {
  /** Negative: the step gave back bytes of earlier input; they are the last ones of that. */
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly isOver: boolean;
}

/** The functions that are used of the library. */
export interface IsalLibrary {
  readonly isal_inflate_init: (state: Pointer) => void;
  readonly isal_inflate: (state: Pointer) => number;
}
const open = (path: string): IsalLibrary => dlopen(path, functions).symbols;

/** Inflates gzip members, one after the other, each from behind its header to the end of its trailer. */
export class IsalInflater {
  readonly #library: IsalLibrary;
  /** Not on the garbage-collected heap: no ArrayBuffer of this size is, so its address stays the same. */
  readonly #state = new Uint8Array(new ArrayBuffer(stateBytes));
  readonly #fields = new DataView(this.#state.buffer);
  readonly #address = ptr(this.#state);

  constructor(library: IsalLibrary) {
    this.#library = library;
  }

  /** Before each member. */
  begin(): void {
    this.#library.isal_inflate_init(this.#address);
    this.#fields.setUint32(offsets.checksum, gzipBody, true);
  }

  /**
   * Inflates from `input` (its first MiB at most) into `output`. Throws InflateError. With room left in `output` and the
   * member not over, it needs more input.
   */
  step(input: Uint8Array, output: Uint8Array): InflateStep {
    const fields = this.#fields;
    const givenBytes = Math.min(input.length, maxInputBytes);
    this.#point(offsets.nextIn, input);
    fields.setUint32(offsets.availableIn, givenBytes, true);
    this.#point(offsets.nextOut, output);
    fields.setUint32(offsets.availableOut, output.length, true);
    const result = this.#library.isal_inflate(this.#address);
    if (result !== 0) throw new InflateError(faults[result] ?? `ISA-L's error ${result}`);
    const readBytes = givenBytes - fields.getUint32(offsets.availableIn, true);
    const writtenBytes = output.length - fields.getUint32(offsets.availableOut, true);
    if (fields.getUint32(offsets.blockState, true) === finished) {
      const aheadBytes = fields.getInt32(offsets.readInBits, true) >> 3;
      return { readBytes: readBytes - aheadBytes, writtenBytes, isOver: true };
    }
    if (readBytes === 0 && writtenBytes === 0 && givenBytes > 0 && output.length > 0) {
      throw new InflateError("the data makes no progress");
    }
    return { readBytes, writtenBytes, isOver: false };
  }

  #point(offset: number, bytes: Uint8Array): void {
    this.#fields.setBigUint64(offset, bytes.length === 0 ? 0n : BigInt(ptr(bytes)), true);
  }
}

/** ISA-L, or why it is not used. */
export type Isal =
  | { readonly kind: "usable"; readonly version: string; readonly inflater: () => IsalInflater }
  | { readonly kind: "missing" | "unsuitable"; readonly reason: string };

let loaded: Isal | undefined;

/** Loads ISA-L once per thread. A version that fails the self-test is unsuitable. */
export function loadIsal(): Isal {
  loaded ??= loadFrom(pathsOf());
  return loaded;
}

/** The first of `paths` that can be loaded, if it passes the self-test. */
export function loadFrom(paths: readonly string[], openLibrary: (path: string) => IsalLibrary = open): Isal {
  for (const path of paths) {
    let symbols: IsalLibrary;
    try {
      symbols = openLibrary(path);
    } catch {
      continue;
    }
    const inflater = () => new IsalInflater(symbols);
    const fault = selfTest(inflater());
    if (fault !== undefined) return { kind: "unsuitable", reason: `${path} is not used: ${fault}` };
    return { kind: "usable", version: versionOf(path), inflater };
  }
  return { kind: "missing", reason: `${soname} is not installed (Debian's package libisal2)` };
}

/** The library itself, below each tree's directory for this architecture; then wherever the dynamic linker finds it. */
function pathsOf(): readonly string[] {
  const below = (tree: string) =>
    directoriesIn(tree)
      .filter((name) => name.endsWith("-linux-gnu"))
      .map((name) => join(tree, name, soname));
  return [...below(systemTree), ...below(privateTree), soname];
}

function directoriesIn(tree: string): readonly string[] {
  try {
    return readdirSync(tree);
  } catch {
    return [];
  }
}

/** From the file's name, "libisal.so.2.0.30": no function tells it. */
function versionOf(path: string): string {
  try {
    return basename(realpathSync(path)).replace(/^libisal\.so\.2\.0\.(\d+)$/, "2.$1");
  } catch {
    return soname;
  }
}

/**
 * Inflates a known member a byte at a time, and again in one piece with more behind it: the structure has another layout
 * unless all of it comes out, the end is found, and a wrong checksum is refused. Returns what went wrong.
 */
function selfTest(inflater: IsalInflater): string | undefined {
  const content = Buffer.from(Array.from({ length: 5_000 }, (_, at) => (at * at) >> 7));
  const member = gzipSync(content);
  const body = member.subarray(headerBytes);
  const wrong = Buffer.from(body);
  wrong.writeUInt32LE((body.readUInt32LE(body.length - 8) ^ 1) >>> 0, body.length - 8);
  try {
    const slowly = inflateAll(inflater, body, 1);
    const atOnce = inflateAll(inflater, Buffer.concat([body, member]), member.length * 2);
    if (!slowly.bytes.equals(content) || !atOnce.bytes.equals(content)) return "its self-test gave other bytes";
    if (slowly.readBytes !== body.length || atOnce.readBytes !== body.length) return "its self-test missed the end";
  } catch (error) {
    return `its self-test failed: ${error instanceof Error ? error.message : String(error)}`;
  }
  try {
    inflateAll(inflater, wrong, wrong.length);
    return "its self-test did not see a wrong checksum";
  } catch {
    return undefined;
  }
}

/** Of a gzip member without a name, as node:zlib writes it. */
const headerBytes = 10;

function inflateAll(inflater: IsalInflater, input: Buffer, pieceBytes: number) {
  const pieces: Buffer[] = [];
  inflater.begin();
  for (let at = 0; ; ) {
    const output = Buffer.alloc(1_000);
    const piece = input.subarray(at, at + pieceBytes);
    const { readBytes, writtenBytes, isOver } = inflater.step(piece, output);
    pieces.push(output.subarray(0, writtenBytes));
    at += readBytes;
    if (isOver) return { bytes: Buffer.concat(pieces), readBytes: at };
    if (piece.length === 0 && writtenBytes === 0) throw new InflateError("the end was not found");
  }
}
