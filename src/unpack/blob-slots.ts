// Room: unpack. Owns the blob thread's side of the shared memory: which slots are free, and the one that is being filled.
import { slotBytes, slotCount } from "./blob-messages.ts";

/** The free slots. One consumer at a time. */
export class FreeSlots {
  /** The slot that was freed last is used first: a slow stream never touches memory that it does not need. */
  readonly #free = Array.from({ length: slotCount }, (_, slot) => slot).reverse();
  #wake: () => void = () => undefined;

  /** Waits for a free slot. Throws the signal's reason once `dropped` is aborted. */
  async take(dropped: AbortSignal): Promise<number> {
    for (;;) {
      dropped.throwIfAborted();
      const slot = this.#free.pop();
      if (slot !== undefined) return slot;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
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

/** The slots that one stream fills, one after the other. Dispose of it in any case: the last one is rarely full. */
export class SlotFiller implements Disposable {
  readonly #memory: Uint8Array;
  readonly #free: FreeSlots;
  readonly #dropped: AbortSignal;
  readonly #filled: (slot: number, lengthBytes: number) => void;
  #slot: number | undefined;
  #lengthBytes = 0;

  /** `filled` passes a slot on. */
  constructor(
    memory: Uint8Array,
    free: FreeSlots,
    dropped: AbortSignal,
    filled: (slot: number, lengthBytes: number) => void,
  ) {
    this.#memory = memory;
    this.#free = free;
    this.#dropped = dropped;
    this.#filled = filled;
  }

  /** Memory for the next bytes, at least one. Throws the reason when the stream is dropped. */
  async room(): Promise<Uint8Array> {
    this.#slot ??= await this.#free.take(this.#dropped);
    const start = this.#slot * slotBytes;
    return this.#memory.subarray(start + this.#lengthBytes, start + slotBytes);
  }

  /** Adds `bytes`, which may be in the memory that `room` has given already. */
  async add(bytes: Uint8Array): Promise<void> {
    if (bytes.buffer === this.#memory.buffer) return this.#took(bytes.length);
    for (let at = 0; at < bytes.length; ) {
      const room = await this.room();
      const part = bytes.subarray(at, at + room.length);
      room.set(part);
      this.#took(part.length);
      at += part.length;
    }
  }

  [Symbol.dispose](): void {
    const slot = this.#slot;
    if (slot === undefined) return;
    if (this.#dropped.aborted || this.#lengthBytes === 0) this.#free.put([slot]);
    else this.#passOn(slot);
  }

  #took(lengthBytes: number): void {
    this.#lengthBytes += lengthBytes;
    if (this.#slot !== undefined && this.#lengthBytes === slotBytes) this.#passOn(this.#slot);
  }

  #passOn(slot: number): void {
    this.#filled(slot, this.#lengthBytes);
    this.#slot = undefined;
    this.#lengthBytes = 0;
  }
}
