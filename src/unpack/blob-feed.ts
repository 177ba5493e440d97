// Room: unpack. Owns how a layer's blob gets to the writer: as a file, or through a pipe while it is fetched.
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { isSnapmillError, type SnapmillError } from "../domain/errors.ts";
import { atStage, inStage } from "../domain/unpack-stage.ts";
import { describeWork, inWork } from "../domain/work.ts";
import { contentOfStart, contentStartBytes } from "../images/content.ts";
import { type Compression, type ImageLayer, isRemote, type LayerBlob, type RemoteBlob } from "../images/image.ts";
import { compressionOfContent } from "../images/layers.ts";
import { openPipe, type Pipe } from "../system/process/pipes.ts";
import type { BlobSource } from "./blob-messages.ts";

/** Dispose of it when the writer has finished, whatever the outcome. */
export interface BlobFeed extends AsyncDisposable {
  readonly source: BlobSource;
  /** Resolves when the download has ended, however it did; undefined: there is none. */
  readonly fetched?: Promise<void>;
  /** Resolves when the writer has been given all of the blob. Throws why it could not be fetched. */
  readonly complete: () => Promise<void>;
  /** The cause of the writer's `failure`: often the blob is truncated, or not the one that was asked for. */
  readonly explain: (failure: unknown) => Promise<unknown>;
}

/** How much of a blob's rest is read only to verify its digest. */
const maxDrainedBytes = 256 * 2 ** 20;

/** The blob of `layer`, for one reader. Fetching a remote one starts here. Throws what fetching it throws. */
export async function feedBlob({ blob, compression, digest }: ImageLayer<LayerBlob>): Promise<BlobFeed> {
  if (isRemote(blob)) return feedRemote(blob, compression, `the layer ${digest}`);
  return {
    source: { blob, compression },
    complete: () => Promise.resolve(),
    explain: (failure) => Promise.resolve(failure),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function feedRemote(blob: RemoteBlob, expected: Compression, name: string): Promise<BlobFeed> {
  const over = new Canceller();
  await using cleanup = new AsyncDisposableStack();
  const chunks = blob.open(0, over.signal);
  cleanup.defer(async () => {
    await chunks.return(undefined).catch(() => undefined);
  });
  cleanup.defer(() => over.cancel(new AbortReason("over", "the blob is not read any further")));
  const start = await inStage("fetch", () => takeStart(chunks));
  const compression = compressionOfContent(contentOfStart(start, expected), expected, name);
  const pump = new Pump(openPipe(), blob.lengthBytes, over.signal);
  cleanup.use(pump);
  pump.start(start, chunks);
  const held = cleanup.move();
  return {
    source: { blob: { pipe: pump.path, lengthBytes: blob.lengthBytes }, compression },
    fetched: pump.ended,
    complete: () => pump.complete(),
    explain: (failure) => pump.explain(failure),
    [Symbol.asyncDispose]: async () => {
      // Before waiting for anything: a registry may not answer.
      over.cancel(new AbortReason("over", "the blob is not read any further"));
      await held.disposeAsync();
    },
  };
}

/** Enough of the beginning to tell what it is. */
async function takeStart(chunks: AsyncGenerator<Uint8Array>): Promise<Buffer> {
  const start: Uint8Array[] = [];
  for (let bytes = 0; bytes < contentStartBytes; ) {
    const { done, value } = await chunks.next();
    if (done === true) break;
    start.push(value);
    bytes += value.length;
  }
  return Buffer.concat(start);
}

/** Writes the chunks to the pipe; once its reader has closed it, reads the rest only to verify the digest. */
class Pump implements AsyncDisposable {
  readonly #pipe: Pipe;
  readonly #over: AbortSignal;
  #leftBytes: number;
  #pumping: Promise<void> = Promise.resolve();
  #failure: SnapmillError | undefined;

  constructor(pipe: Pipe, lengthBytes: number, over: AbortSignal) {
    this.#pipe = pipe;
    this.#over = over;
    this.#leftBytes = lengthBytes;
  }

  get path(): string {
    return this.#pipe.path;
  }

  start(start: Uint8Array, chunks: AsyncGenerator<Uint8Array>): void {
    this.#pumping = inWork({ name: "fetch blob" }, () => this.#pump(start, chunks));
  }

  /** Never rejects. */
  get ended(): Promise<void> {
    return this.#pumping;
  }

  async complete(): Promise<void> {
    await this.#pumping;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async explain(failure: unknown): Promise<unknown> {
    if (isSnapmillError(failure, "invalid_argument") && this.#leftBytes <= maxDrainedBytes) {
      await this.#pipe[Symbol.asyncDispose]();
      await this.#pumping;
    }
    return this.#failure ?? failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pipe[Symbol.asyncDispose]();
    await this.#pumping;
  }

  async #pump(start: Uint8Array, chunks: AsyncGenerator<Uint8Array>): Promise<void> {
    try {
      await this.#give(start);
      for await (const chunk of chunks) await this.#give(chunk);
    } catch (error) {
      this.#failure = atStage("fetch", error);
      describeWork({ failure: this.#failure });
    } finally {
      await this.#pipe.end();
    }
  }

  async #give(bytes: Uint8Array): Promise<void> {
    this.#leftBytes -= bytes.length;
    if (bytes.length > 0) await this.#pipe.write(bytes);
    this.#over.throwIfAborted();
  }
}
