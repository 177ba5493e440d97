// Room: images. Owns the streaming of a blob from a registry: resumed where it was cut, verified on the way.
import { failedPrecondition } from "../../domain/errors.ts";
import type { Digest } from "../../domain/identifiers.ts";
import { AttemptFailure, sentence } from "./failures.ts";
import type { RegistryHost } from "./hosts.ts";
import { type Bandwidth, MinimumRate } from "./rate.ts";
import { type Repository, withMirrors } from "./repository.ts";
import { Retries } from "./retry.ts";
import type { HttpReply } from "./transport.ts";

export interface RemoteBlobDescriptor {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface BlobLimits {
  /** Waits until a download from `host` may begin. Dispose of the slot when the download ends. */
  readonly slot: (host: RegistryHost, signal: AbortSignal | undefined) => Promise<Disposable>;
  readonly bandwidth: Pick<Bandwidth, "spend">;
  /** A slower attempt fails. Default: `leastBytesPerSecond` of the patience. */
  readonly minBytesPerSecond: number | undefined;
}

/** The download of one blob, over several attempts. */
class Download {
  readonly #repository: Repository;
  readonly #blob: RemoteBlobDescriptor;
  readonly #limits: BlobLimits;
  /** The offset of the next byte to yield. */
  #atBytes: number;
  #hasSkipped = false;

  constructor(repository: Repository, blob: RemoteBlobDescriptor, limits: BlobLimits, offsetBytes: number) {
    this.#repository = repository;
    this.#blob = blob;
    this.#limits = limits;
    this.#atBytes = offsetBytes;
  }

  get atBytes(): number {
    return this.#atBytes;
  }

  /** Yields the rest of the blob, or what this attempt gets of it. Throws what `Repository.ask` throws. */
  async *attempt(host: RegistryHost): AsyncGenerator<Uint8Array> {
    const { digest, sizeBytes } = this.#blob;
    const { signal, patience } = this.#repository.options;
    using _slot = await this.#limits.slot(host, signal);
    const headers = this.#atBytes === 0 ? {} : { range: `bytes=${this.#atBytes}-` };
    const reply = await this.#repository.ask(host, { path: `blobs/${digest}`, what: this.#what, headers });
    using _connection = { [Symbol.dispose]: () => reply.cancel() };
    let skipBytes = this.#skipBytes(host, reply);
    const { minBytesPerSecond } = this.#limits;
    const rate =
      minBytesPerSecond === undefined
        ? new MinimumRate(patience.leastBytesPerSecond, patience.leastRateWindowMs)
        : new MinimumRate(minBytesPerSecond, patience.rateWindowMs);
    const chunks = reply.chunks();
    for (;;) {
      rate.waits();
      const { done, value } = await chunks.next();
      if (done === true) break;
      if (!rate.isEnough(value.length)) throw this.#failed(host, "sends less than the minimum rate");
      await this.#limits.bandwidth.spend(value.length, signal);
      const fresh = value.subarray(Math.min(skipBytes, value.length));
      skipBytes -= value.length - fresh.length;
      if (this.#atBytes + fresh.length > sizeBytes) {
        throw failedPrecondition(this.#sentence(host, `sent more than ${sizeBytes} bytes`));
      }
      this.#atBytes += fresh.length;
      if (fresh.length > 0) yield fresh;
    }
    if (this.#atBytes < sizeBytes) throw this.#failed(host, `sent ${this.#atBytes} of ${sizeBytes} bytes`);
  }

  /** How many bytes of the answer to drop: some servers answer a range request with the whole blob. */
  #skipBytes(host: RegistryHost, { status, headers }: HttpReply): number {
    const { sizeBytes } = this.#blob;
    const isPart = status === 206;
    if (isPart) {
      const range = headers.get("content-range") ?? "";
      const [, from, , total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range) ?? [];
      const isRight = Number(from) === this.#atBytes && (total === "*" || Number(total) === sizeBytes);
      if (!isRight)
        throw this.#failed(host, `sent a part that was not asked for (Content-Range ${JSON.stringify(range)})`);
    } else if (this.#atBytes > 0) {
      if (this.#hasSkipped)
        throw failedPrecondition(this.#sentence(host, "cannot resume a download, which was cut twice,"));
      this.#hasSkipped = true;
    }
    const length = headers.get("content-length");
    const expectedBytes = isPart ? sizeBytes - this.#atBytes : sizeBytes;
    if (length !== null && Number(length) !== expectedBytes) {
      throw this.#failed(host, `wants to send ${length} bytes in place of ${expectedBytes}`);
    }
    return isPart ? 0 : this.#atBytes;
  }

  get #what(): string {
    return `the blob ${this.#blob.digest}`;
  }

  #sentence(host: RegistryHost, said: string): string {
    return sentence({ host: host.name, repository: this.#repository.options.repository, what: this.#what }, said);
  }

  #failed(host: RegistryHost, said: string): AttemptFailure {
    return new AttemptFailure(this.#sentence(host, said));
  }
}

/** Chooses the host of the next attempt. A mirror has one attempt, the last host as many as patience allows. */
class Hosts {
  readonly #hosts: readonly RegistryHost[];
  readonly #retries: Retries;
  readonly #passedOver: string[] = [];
  readonly #signal: AbortSignal | undefined;
  #index = 0;

  constructor(repository: Repository) {
    const { patience, signal } = repository.options;
    this.#hosts = repository.hostsThat("pull");
    this.#retries = new Retries(patience, signal);
    this.#signal = signal;
  }

  get current(): RegistryHost {
    return this.#hosts[this.#index] as RegistryHost;
  }

  progressed(): void {
    this.#retries.progressed();
  }

  async failed(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted();
    if (this.#index < this.#hosts.length - 1) {
      this.#passedOver.push(error instanceof Error ? error.message : String(error));
      this.#index += 1;
      return;
    }
    try {
      await this.#retries.failed(error);
    } catch (final) {
      this.#signal?.throwIfAborted();
      throw withMirrors(final, this.#passedOver);
    }
  }
}

/**
 * The bytes of a blob from `offsetBytes` on, as fast as they are taken. `hasher` has hashed the bytes before; with it the
 * blob is verified before the stream ends. Without one, a blob is verified only when it is read from its start. Errors:
 * failed_precondition, not_found, deadline_exceeded, and the signal's reason.
 */
export async function* streamBlob(
  repository: Repository,
  blob: RemoteBlobDescriptor,
  limits: BlobLimits,
  offsetBytes = 0,
  hasher = offsetBytes === 0 ? new Bun.CryptoHasher("sha256") : undefined,
): AsyncGenerator<Uint8Array> {
  const download = new Download(repository, blob, limits, offsetBytes);
  const hosts = new Hosts(repository);
  while (download.atBytes < blob.sizeBytes) {
    const startedAtBytes = download.atBytes;
    try {
      for await (const chunk of download.attempt(hosts.current)) {
        hasher?.update(chunk);
        yield chunk;
      }
    } catch (error) {
      if (download.atBytes - startedAtBytes >= repository.options.patience.progressBytes) hosts.progressed();
      await hosts.failed(error);
    }
  }
  const actual = hasher === undefined ? blob.digest : `sha256:${hasher.digest("hex")}`;
  if (actual === blob.digest) return;
  const what = `the blob ${blob.digest}`;
  const subject = { host: hosts.current.name, repository: repository.options.repository, what };
  throw failedPrecondition(sentence(subject, `sent other bytes (their digest is ${actual})`));
}
