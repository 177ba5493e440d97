// Room: unpack. Owns the main thread's end of one stream from the blob thread.
import { decodeFailure, internal } from "../domain/errors.ts";
import { type BlobDigests, type BlobSource, type FromBlobThread, slotBytes } from "./blob-messages.ts";

export interface BlobChunk {
  /** Of the tar; valid until the next chunk is asked for. */
  readonly bytes: Uint8Array;
  /** Of the blob, so far. */
  readonly readBytes: number;
}

export interface StreamHooks {
  readonly free: (slot: number) => void;
  /** `isWhole`: it was read to its end. */
  readonly closed: (isWhole: boolean) => void;
}

/** The tar in a blob, once. Dispose of it, read or not. */
export class BlobStream implements Disposable {
  readonly source: BlobSource;
  readonly #memory: SharedArrayBuffer;
  readonly #hooks: StreamHooks;
  readonly #messages: FromBlobThread[] = [];
  #arrived: () => void = () => undefined;
  #digests: BlobDigests | undefined;

  constructor(source: BlobSource, memory: SharedArrayBuffer, hooks: StreamHooks) {
    this.source = source;
    this.#memory = memory;
    this.#hooks = hooks;
  }

  /** Available only after the end of the stream. */
  get digests(): BlobDigests {
    if (this.#digests === undefined) throw internal("a blob has its digests only when it has been read to its end");
    return this.#digests;
  }

  /** Errors: those of `BlobReader` and `decompress`; internal when the blob thread is gone. */
  async *chunks(): AsyncGenerator<BlobChunk> {
    for (;;) {
      const message = await this.#next();
      switch (message.type) {
        case "chunk":
          try {
            const bytes = new Uint8Array(this.#memory, message.slot * slotBytes, message.lengthBytes);
            yield { bytes, readBytes: message.readBytes };
          } finally {
            this.#hooks.free(message.slot);
          }
          break;
        case "end":
          this.#digests = message.digests;
          return;
        case "failed":
          throw decodeFailure(message.failure);
      }
    }
  }

  /** Handles the thread's messages about this stream. */
  receive(message: FromBlobThread): void {
    this.#messages.push(message);
    this.#arrived();
  }

  [Symbol.dispose](): void {
    for (const message of this.#messages.splice(0)) if (message.type === "chunk") this.#hooks.free(message.slot);
    this.#hooks.closed(this.#digests !== undefined);
  }

  async #next(): Promise<FromBlobThread> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
  }
}
