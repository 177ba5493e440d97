// Room: tar. Owns the PAX records that hold for all entries that follow, gathered from any number of global headers.
import { invalidArgument } from "../domain/errors.ts";
import type { ByteString } from "../system/tree/bytes.ts";
import { type PaxRecords, type Xattrs, xattrsOf } from "./pax.ts";

/** Archives have a comment there, or an owner or time for all: each entry pays for every record. */
const maxRecords = 256;
const maxBytes = 256 * 2 ** 10;

export class GlobalRecords {
  readonly #records = new Map<string, ByteString>();
  #bytes = 0;
  #xattrs: Xattrs | undefined;

  get records(): PaxRecords {
    return this.#records;
  }

  /** The extended attributes among them. */
  get xattrs(): Xattrs {
    this.#xattrs ??= xattrsOf(this.#records);
    return this.#xattrs;
  }

  /** Throws invalid_argument when there are too many in sum. */
  add(records: PaxRecords): void {
    this.#xattrs = undefined;
    for (const [key, value] of records) {
      const replaced = this.#records.get(key);
      this.#bytes += replaced === undefined ? key.length + value.length : value.length - replaced.length;
      this.#records.set(key, value);
    }
    if (this.#records.size <= maxRecords && this.#bytes <= maxBytes) return;
    throw invalidArgument(`the archive has more than ${maxRecords} global PAX records, or ${maxBytes} bytes of them`);
  }
}
