// Room: test. Owns what tests of the registry client share: a client with little patience, and blobs read to their end.
import type { Digest } from "../../../src/domain/identifiers.ts";
import { Authorization } from "../../../src/images/registry/authorization.ts";
import { type BlobLimits, streamBlob } from "../../../src/images/registry/blobs.ts";
import { type CredentialSources, findCredential } from "../../../src/images/registry/credentials.ts";
import { Secrets } from "../../../src/images/registry/failures.ts";
import { hostsOf, type RegistryHost } from "../../../src/images/registry/hosts.ts";
import { Bandwidth } from "../../../src/images/registry/rate.ts";
import { Repository } from "../../../src/images/registry/repository.ts";
import { defaultPatience, type Patience } from "../../../src/images/registry/retry.ts";

/** Milliseconds in place of seconds. */
export const impatient: Patience = {
  ...defaultPatience,
  attempts: 4,
  firstMs: 5,
  capMs: 20,
  retryAfterMs: 1500,
  leastRetryAfterMs: 1,
  idleMs: 250,
  rateWindowMs: 60,
  leastBytesPerSecond: 1024,
  leastRateWindowMs: 150,
  progressBytes: 40_000,
};

export const noLimits: BlobLimits = {
  slot: () => Promise.resolve({ [Symbol.dispose]: () => undefined }),
  bandwidth: new Bandwidth(undefined),
  minBytesPerSecond: undefined,
};

export interface RepositorySettings {
  readonly registry: string;
  readonly repository: string;
  readonly hosts?: readonly RegistryHost[];
  readonly certsDirs?: readonly string[];
  readonly credentials?: Partial<CredentialSources>;
  readonly patience?: Partial<Patience>;
  readonly signal?: AbortSignal;
}

/** A repository of a registry over HTTP, unless a hosts.toml of `certsDirs` says otherwise. */
export async function repositoryOf(settings: RepositorySettings): Promise<Repository> {
  const { registry, repository, certsDirs = [], credentials, patience, signal } = settings;
  const sources: CredentialSources = { authFile: undefined, inline: undefined, files: [], ...credentials };
  return new Repository({
    hosts: settings.hosts ?? (await hostsOf(registry, { certsDirs, plainHttp: true })),
    repository,
    authorization: new Authorization((...asked) => findCredential(sources, ...asked)),
    secrets: new Secrets(),
    patience: { ...impatient, ...patience },
    signal,
  });
}

/** How far the reader of a blob has come, for faults that wait for it. */
export class Progress {
  #atBytes = 0;
  #moved: () => void = () => undefined;

  moved(bytes: number): void {
    this.#atBytes += bytes;
    this.#moved();
  }

  /** Resolves once `bytes` have been read since the beginning. */
  async reached(bytes: number): Promise<void> {
    while (this.#atBytes < bytes) {
      await new Promise<void>((resolve) => {
        this.#moved = resolve;
      });
    }
  }
}

/** All of a blob. */
export async function readBlob(
  repository: Repository,
  blob: { readonly digest: string; readonly sizeBytes: number },
  limits: Partial<BlobLimits> = {},
  { offsetBytes = 0, progress = new Progress() } = {},
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const wanted = { digest: blob.digest as Digest, sizeBytes: blob.sizeBytes };
  for await (const chunk of streamBlob(repository, wanted, { ...noLimits, ...limits }, offsetBytes)) {
    chunks.push(chunk);
    progress.moved(chunk.length);
  }
  return Buffer.concat(chunks);
}

export const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing was thrown",
    (error: Error) => error.message,
  );

export const failureOf = (promise: Promise<unknown>): Promise<{ code: string; message: string }> =>
  promise.then(
    () => ({ code: "", message: "nothing was thrown" }),
    ({ code, message }: { code: string; message: string }) => ({ code, message }),
  );
