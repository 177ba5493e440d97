// Room: images. Owns the reading of an image's documents: verified, with a limit on their number and total size.
import type { z } from "zod";
import { failedPrecondition, SnapmillError } from "../domain/errors.ts";
import { type Digest, digest } from "../domain/identifiers.ts";
import { formatSize } from "../domain/units.ts";
import { type Descriptor, judge } from "./documents.ts";
import { type ImageFiles, readStart } from "./files.ts";
import type { BlobRange } from "./image.ts";
import { type IndexEntry, indexEntry } from "./index-entry.ts";
import { parseJson } from "./json.ts";
import { LoopYield } from "./loop-yield.ts";

/** The limit for a manifest that the OCI distribution specification allows registries. */
export const maxDocumentBytes = 4 << 20;
/** For the list of a layout or an archive, with a hundred thousand images for example. */
const maxEntryPointBytes = 32 << 20;
/** For one image, together with all indexes and manifests that lead to it. */
const maxDocuments = 2000;
const maxEntries = 250_000;
const maxTotalBytes = 128 << 20;

/** The image exceeds a limit that no real one reaches: the search in it ends. */
export class LimitExceeded extends SnapmillError {
  constructor(message: string) {
    super("failed_precondition", message);
  }
}

/** A document could not be fetched. Its content is unknown, so no other document is used in its place. */
export class FetchFailure extends SnapmillError {}

/** Fetches the bytes of a remote document, unverified. Throws FetchFailure. */
export type FetchDocument = (blob: Descriptor, kind: DocumentKind) => Promise<Buffer>;
export type DocumentKind = "index" | "manifest" | "configuration";

export const sha256Of = (bytes: Uint8Array): Digest =>
  digest(`sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`);

/** The name of a blob's file in a layout. A parsed digest holds no path. */
export const blobName = (blob: Digest): string => `blobs/${blob.replace(":", "/")}`;

/** For one image. Every method throws the signal's reason, and LimitExceeded. */
export class DocumentReader {
  readonly files: ImageFiles;
  readonly signal: AbortSignal | undefined;
  readonly #loop: LoopYield;
  readonly #fetch: FetchDocument | undefined;
  #documents = 0;
  #entries = 0;
  #bytes = 0;

  /** With `fetch`, blobs come from there instead of from `files`. */
  constructor(files: ImageFiles, signal: AbortSignal | undefined, fetch?: FetchDocument) {
    this.files = files;
    this.#fetch = fetch;
    this.signal = signal;
    this.#loop = new LoopYield(signal);
  }

  throwIfAborted(): void {
    this.signal?.throwIfAborted();
  }

  /** Await it before examining this many entries of a list. */
  async count(entries: number): Promise<void> {
    this.#entries += entries;
    if (this.#entries > maxEntries)
      throw new LimitExceeded(`its indexes have more than ${maxEntries} entries: that is no image`);
    await this.#loop.next();
  }

  /** The entries of an index, before one is chosen and validated. */
  async entriesOf(manifests: readonly unknown[]): Promise<IndexEntry[]> {
    const entries: IndexEntry[] = [];
    for (const [number, value] of manifests.entries()) {
      await this.count(1);
      entries.push(indexEntry(value, number));
    }
    return entries;
  }

  /** A file by its name; undefined when there is none. */
  async entryPoint<Schema extends z.ZodType>(schema: Schema, name: string): Promise<z.output<Schema> | undefined> {
    const range = await this.files.find(name);
    if (range === undefined) return undefined;
    const what = `its ${name}`;
    return judge(schema, parseJson(await this.bytesOf(range, what, maxEntryPointBytes), what), what);
  }

  /** The document that `blob` describes, verified against its size and digest; `kind` names it in errors. */
  async blob<Schema extends z.ZodType>(
    schema: Schema,
    blob: Descriptor,
    kind: DocumentKind,
  ): Promise<z.output<Schema>> {
    const what = `the ${kind} ${blob.digest}`;
    const bytes = await this.#blobBytes(blob, kind, what);
    const actual = sha256Of(bytes);
    if (actual !== blob.digest) {
      throw failedPrecondition(
        `${what} is damaged: its content has the digest ${actual}; fetch or build the image again`,
      );
    }
    return judge(schema, parseJson(bytes, what), what);
  }

  /** All bytes of a document, unparsed. Throws failed_precondition when it is too large. */
  async bytesOf(range: BlobRange, what: string, limitBytes = maxDocumentBytes): Promise<Buffer> {
    if (range.lengthBytes > limitBytes)
      throw failedPrecondition(`${what} has ${range.lengthBytes} bytes; the limit is ${limitBytes}`);
    await this.#count(range.lengthBytes);
    return readStart(range, range.lengthBytes);
  }

  async #blobBytes(blob: Descriptor, kind: DocumentKind, what: string): Promise<Buffer> {
    if (this.#fetch !== undefined) return this.#fetchedBytes(this.#fetch, blob, kind, what);
    const range = await this.files.find(blobName(blob.digest));
    if (range !== undefined && range.lengthBytes === blob.size) return this.bytesOf(range, what);
    if (range !== undefined) throw wrongSize(what, range.lengthBytes, blob);
    // A descriptor may carry small content itself: OCI image specification 1.1, "data".
    if (blob.data === undefined) throw failedPrecondition(`${what} is missing; fetch or build the image again`);
    const bytes = Buffer.from(blob.data, "base64");
    if (bytes.length !== blob.size) throw wrongSize(what, bytes.length, blob);
    await this.#count(bytes.length);
    return bytes;
  }

  async #fetchedBytes(fetch: FetchDocument, blob: Descriptor, kind: DocumentKind, what: string): Promise<Buffer> {
    if (blob.size > maxDocumentBytes)
      throw failedPrecondition(`${what} has ${blob.size} bytes; the limit is ${maxDocumentBytes}`);
    await this.#count(blob.size);
    const bytes = await fetch(blob, kind);
    if (bytes.length !== blob.size) throw wrongSize(what, bytes.length, blob);
    return bytes;
  }

  async #count(lengthBytes: number): Promise<void> {
    this.#documents += 1;
    this.#bytes += lengthBytes;
    if (this.#documents > maxDocuments)
      throw new LimitExceeded(`more than ${maxDocuments} documents had to be read to find it: that is no image`);
    if (this.#bytes > maxTotalBytes)
      throw new LimitExceeded(`its documents have more than ${formatSize(maxTotalBytes)} together: that is no image`);
    await this.#loop.next();
  }
}

const wrongSize = (what: string, lengthBytes: number, { size }: Descriptor) =>
  failedPrecondition(`${what} has ${lengthBytes} bytes, not ${size}; fetch or build the image again`);
