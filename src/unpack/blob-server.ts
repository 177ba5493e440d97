// Room: unpack. Owns the work of the blob thread: reading, decompressing and hashing blobs ahead of the main thread.
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { encodeFailure } from "../domain/errors.ts";
import { digest } from "../domain/identifiers.ts";
import { decompress } from "../images/decompress.ts";
import type { IsalInflater } from "../system/inflate/isal.ts";
import { BlobReader } from "./blob.ts";
import { type BlobSource, type FromBlobThread, slotBytes, slotCount, type ToBlobThread } from "./blob-messages.ts";

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
      this.#send({ type: "failed", stream, failure: encodeFailure(error) });
    } finally {
      this.#open.delete(stream);
    }
  }

  async #deliver(stream: number, source: BlobSource, dropped: AbortSignal): Promise<void> {
    const blob = new BlobReader(source.blob);
    const hasher = new Bun.CryptoHasher("sha256");
    for await (const chunk of decompress(blob.chunks(), source.compression, this.#inflater)) {
      const slot = await this.#slots.take(dropped);
      if (slot === undefined) return;
      this.#memory.set(chunk, slot * slotBytes);
      this.#send({ type: "chunk", stream, slot, lengthBytes: chunk.length, readBytes: blob.readBytes });
      hasher.update(chunk);
    }
    const digests = { blob: blob.digest(), tar: digest(`sha256:${hasher.digest("hex")}`) };
    this.#send({ type: "end", stream, digests });
  }
}

/** The free slots. One consumer at a time. */
class FreeSlots {
  /** The slot that was freed last is used first: a slow stream never touches memory that it does not need. */
  readonly #free = Array.from({ length: slotCount }, (_, slot) => slot).reverse();
  #wake: () => void = () => undefined;

  /** Waits for a free slot; undefined once `dropped` is aborted. */
  async take(dropped: AbortSignal): Promise<number | undefined> {
    while (!dropped.aborted) {
      const slot = this.#free.pop();
      if (slot !== undefined) return slot;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return undefined;
  }

  put(slots: readonly number[]): void {
    this.#free.push(...slots);
    this.#wake();
  }

  /** Makes the consumer check its signal again. */
  wake(): void {
    this.#wake();
  }
}
