// Room: images. Owns a stream of chunks as bytes to be looked at, taken, and given back.

/** The inflater reads ahead by eight bytes at most. */
const keptBytes = 8;
const nothing: Uint8Array = new Uint8Array(0);

export class ByteInput implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>;
  /** The last bytes of earlier chunks, whose memory has been reused. */
  #before = nothing;
  #chunk = nothing;
  #at = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** What is there and has not been taken; valid until the next call of a method that returns a promise. */
  get bytes(): Uint8Array {
    return this.#chunk.subarray(this.#at);
  }

  /** Takes so many of `bytes`; a negative number gives back what was taken last, eight bytes at most. */
  take(count: number): void {
    this.#at += count;
    if (this.#at >= 0) return;
    this.#chunk = Buffer.concat([this.#before.subarray(this.#at), this.#chunk]);
    this.#before = nothing;
    this.#at = 0;
  }

  /** Whether `bytes` is not empty, if need be with the next chunk. */
  async hasMore(): Promise<boolean> {
    while (this.#at === this.#chunk.length) {
      this.#before = tailOf(this.#before, this.#chunk);
      const { done, value } = await this.#chunks.next();
      this.#chunk = done === true ? nothing : value;
      this.#at = 0;
      if (done === true) return false;
    }
    return true;
  }

  /** Appends the next chunk to `bytes`; false if there is none. */
  async append(): Promise<boolean> {
    const held = Buffer.from(this.bytes);
    const { done, value } = await this.#chunks.next();
    if (done === true) return false;
    this.#chunk = Buffer.concat([held, value]);
    this.#at = 0;
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }
}

const tailOf = (one: Uint8Array, other: Uint8Array): Uint8Array =>
  Buffer.concat([one, other.subarray(-keptBytes)]).subarray(-keptBytes);
