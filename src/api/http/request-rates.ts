// Room: api. Owns how many requests a second each token may make, and how many of its streams may be open.

/** A bucket that holds the requests of two seconds, so that a burst does not count as a flood. */
const burstSeconds = 2;

interface Bucket {
  left: number;
  atMs: number;
}

/** One bucket for each token: their number is bounded by that of the tokens. */
export class RequestRates {
  #perSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** From the next request on. */
  set perSecond(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes one request of a token's; 0, or the seconds after which one is left again. */
  take(tokenName: string, nowMs = performance.now()): number {
    const most = this.#perSecond * burstSeconds;
    const bucket = this.#buckets.get(tokenName) ?? { left: most, atMs: nowMs };
    this.#buckets.set(tokenName, bucket);
    bucket.left = Math.min(most, bucket.left + ((nowMs - bucket.atMs) / 1000) * this.#perSecond);
    bucket.atMs = nowMs;
    if (bucket.left < 1) return (1 - bucket.left) / this.#perSecond;
    bucket.left -= 1;
    return 0;
  }
}

const streamsPerToken = 16;
const streamsInAll = 256;

/** Streams that stay open (events). */
export class StreamSlots {
  readonly #open = new Map<string, number>();
  #all = 0;

  /** The slot of one more stream; undefined: the token, or all together, have as many as may be. */
  take(tokenName: string): Disposable | undefined {
    const own = this.#open.get(tokenName) ?? 0;
    if (own >= streamsPerToken || this.#all >= streamsInAll) return undefined;
    this.#change(tokenName, 1);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#change(tokenName, -1);
        isHeld = false;
      },
    };
  }

  #change(tokenName: string, by: 1 | -1): void {
    const own = (this.#open.get(tokenName) ?? 0) + by;
    if (own === 0) this.#open.delete(tokenName);
    else this.#open.set(tokenName, own);
    this.#all += by;
  }
}
