// Room: unpack. Owns the work of the blob thread: reading, decompressing and hashing blobs ahead of the main thread.
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { encodeFailure } from "../domain/errors.ts";
import { type Digest, digest } from "../domain/identifiers.ts";
import { decompress } from "../images/decompress.ts";
import type { Compression } from "../images/image.ts";
import type { IsalInflater } from "../system/inflate/isal.ts";
import { BlobReader } from "./blob.ts";
import type { BlobSource, FromBlobThread, ToBlobThread } from "./blob-messages.ts";
import { FreeSlots, SlotFiller } from "./blob-slots.ts";

type Send = (message: FromBlobThread) => void;

/** Answers the messages given to `receive`. */
export class BlobServer {
  readonly #send: Send;
  readonly #inflater: IsalInflater | undefined;
  readonly #slots = new FreeSlots();
  /** Streams that are served or queued, by number. */
  readonly #open = new Map<number, Canceller>();
  #memory: Uint8Array = new Uint8Array(0);
  #turn: Promise<void> = Promise.resolve();

  /** `inflater`: inflates gzip instead of node:zlib. Streams are served one at a time, so one is enough. */
  constructor(send: Send, inflater?: IsalInflater) {
    this.#send = send;
    this.#inflater = inflater;
  }

  receive(message: ToBlobThread): void {
    switch (message.type) {
      case "memory":
        this.#memory = new Uint8Array(message.memory);
        return;
      case "open": {
        const { stream, source } = message;
        const dropped = new Canceller();
        this.#open.set(stream, dropped);
        this.#turn = this.#turn.then(() => this.#serve(stream, source, dropped.signal));
        return;
      }
      case "drop":
        this.#open.get(message.stream)?.cancel(new AbortReason("over", "the blob is no longer read"));
        this.#slots.wake();
        return;
      case "free":
        this.#slots.put(message.slots);
    }
  }

  async #serve(stream: number, source: BlobSource, dropped: AbortSignal): Promise<void> {
    try {
      if (!dropped.aborted) await this.#deliver(stream, source, dropped);
    } catch (error) {
      if (!dropped.aborted) this.#send({ type: "failed", stream, failure: encodeFailure(error) });
    } finally {
      this.#open.delete(stream);
    }
  }

  async #deliver(stream: number, source: BlobSource, dropped: AbortSignal): Promise<void> {
    const blob = new BlobReader(source.blob);
    const tar = await this.#fill(stream, blob, source.compression, dropped);
    this.#send({ type: "end", stream, digests: { blob: blob.digest(), tar } });
  }

  /** Sends the tar in slots, the last of them also when the rest is damaged; returns its digest. */
  async #fill(stream: number, blob: BlobReader, compression: Compression, dropped: AbortSignal): Promise<Digest> {
    const hasher = new Bun.CryptoHasher("sha256");
    using slots = new SlotFiller(this.#memory, this.#slots, dropped, (slot, lengthBytes) =>
      this.#send({ type: "chunk", stream, slot, lengthBytes, readBytes: blob.readBytes }),
    );
    for await (const chunk of decompress(blob.chunks(), compression, this.#inflater, () => slots.room())) {
      // While it is still in the processor's cache.
      hasher.update(chunk);
      await slots.add(chunk);
    }
    return digest(`sha256:${hasher.digest("hex")}`);
  }
}
