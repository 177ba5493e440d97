// Room: unpack. Owns how a layer's blob gets to the writer: where it lies, or through a pipe while it is fetched.
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { asSnapmillError, isSnapmillError, type SnapmillError } from "../domain/errors.ts";
import { contentOfStart, contentStartBytes } from "../images/content.ts";
import { type Compression, type ImageLayer, isRemote, type LayerBlob, type RemoteBlob } from "../images/image.ts";
import { compressionOfContent } from "../images/layers.ts";
import { openPipe, type Pipe } from "../system/process/pipes.ts";
import type { BlobSource } from "./blob-messages.ts";

/** Dispose of it when the writer is done, however that ended. */
export interface BlobFeed extends AsyncDisposable {
  readonly source: BlobSource;
  /** Resolves when all of the blob was given to the writer. Throws why it could not be had. */
  readonly complete: () => Promise<void>;
  /** What is behind the writer's `failure`: often the blob was cut, or is another one than it should be. */
  readonly explain: (failure: unknown) => Promise<unknown>;
}

/** The rest of a blob that is read only to see whether it is the right one. */
const maxDrainedBytes = 256 * 2 ** 20;

/** The blob of `layer`, for one reader. A remote one is being fetched from now on. Throws what its fetching throws. */
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
  const start = await takeStart(chunks);
  const compression = compressionOfContent(contentOfStart(start, expected), expected, name);
  const pump = new Pump(openPipe(), blob.lengthBytes, over.signal);
  cleanup.use(pump);
  pump.start(start, chunks);
  const held = cleanup.move();
  return {
    source: { blob: { pipe: pump.path, lengthBytes: blob.lengthBytes }, compression },
    complete: () => pump.complete(),
    explain: (failure) => pump.explain(failure),
    [Symbol.asyncDispose]: async () => {
      // Before anything is waited for: a registry may be silent.
      over.cancel(new AbortReason("over", "the blob is not read any further"));
      await held.disposeAsync();
    },
  };
}

/** As much of the beginning as it takes to see what it is. */
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

/** Moves the chunks into the pipe; when nobody reads that any more, it reads on to the end for what the blob really is. */
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
    this.#pumping = this.#pump(start, chunks);
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
      this.#failure = asSnapmillError(error);
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
