// Room: images. Owns the access of this host to registries: its settings, the options of a request, the caches.
import { join } from "node:path";
import type { Digest } from "../../domain/identifiers.ts";
import type { RegistryOptions } from "../../domain/registry-options.ts";
import type { RemoteBlob } from "../image.ts";
import type { FoundImage } from "../layout.ts";
import type { Platform } from "../platform.ts";
import { Authorization } from "./authorization.ts";
import { BlobStore, type BlobStoreSettings } from "./blob-store.ts";
import { type CredentialSources, findCredential, requireAuthFile } from "./credentials.ts";
import { digestOfName } from "./documents.ts";
import { Secrets } from "./failures.ts";
import { hostsOf, type RegistryHost } from "./hosts.ts";
import { resolveRegistryImage } from "./image.ts";
import { KeptBlobs } from "./kept-blobs.ts";
import type { RegistryName } from "./name.ts";
import { Bandwidth } from "./rate.ts";
import { Repository } from "./repository.ts";
import { defaultPatience, type Patience } from "./retry.ts";
import { SharedBandwidth } from "./shared-bandwidth.ts";
import { takeSlot } from "./slots.ts";

export interface RegistrySettings {
  /** Directories as containerd's `config_path` names them. */
  readonly certsDirs: readonly string[];
  readonly credentials: Omit<CredentialSources, "authFile">;
  /** Simultaneous downloads from one registry, over all processes that share `slotsDir`. */
  readonly connections: number;
  readonly slotsDir: string;
  /** The store of blobs that several images may want; undefined: none is kept on disk. */
  readonly blobs?: BlobStoreSettings | undefined;
  readonly patience?: Patience | undefined;
}

/** The most auth files whose tokens are cached. */
const maxAuthFiles = 16;

/** One for each process: tokens are cached until they expire. */
export class Registries {
  readonly #settings: RegistrySettings;
  readonly #kept = new KeptBlobs();
  readonly #store: BlobStore | undefined;
  readonly #authorizations = new Map<string | undefined, Authorization>();

  constructor(settings: RegistrySettings) {
    this.#settings = settings;
    const { blobs } = settings;
    if (blobs !== undefined && blobs.maxBytes > 0) this.#store = new BlobStore(blobs);
  }

  /** Deletes stored blobs that nothing has used lately; `all`: those too that were. */
  trimBlobs(options?: { readonly all?: boolean }): void {
    this.#store?.trim(options);
  }

  /**
   * The image that `name` names for `wanted`. Its layers can be read until `signal` aborts. Errors: not_found,
   * failed_precondition, deadline_exceeded (the registry failed again and again), and the signal's reason.
   */
  async resolve(
    name: RegistryName,
    wanted: Platform,
    options: RegistryOptions,
    signal: AbortSignal | undefined,
  ): Promise<FoundImage<RemoteBlob>> {
    const { connections, slotsDir } = this.#settings;
    const repository = await this.#repositoryOf(name, options, signal);
    const limits = {
      slot: (host: RegistryHost, until: AbortSignal | undefined) => takeSlot(slotsDir, host.name, connections, until),
      bandwidth: this.#bandwidthFor(options),
      minBytesPerSecond: options.minBytesPerSecond,
    };
    return resolveRegistryImage(repository, name, wanted, {
      limits,
      kept: this.#kept,
      store: this.#store,
      registry: name.registry,
      isOneOfMany: options.group !== undefined,
    });
  }

  /**
   * The digest that `name` stands for, of a manifest or of an index, which a registry tells without sending anything.
   * Undefined: it cannot be told; to resolve the name says why. Errors: failed_precondition, and the signal's reason.
   */
  async digestOf(
    name: RegistryName,
    options: RegistryOptions,
    signal: AbortSignal | undefined,
  ): Promise<Digest | undefined> {
    return await digestOfName(await this.#repositoryOf(name, options, signal), name);
  }

  async #repositoryOf(
    name: RegistryName,
    options: RegistryOptions,
    signal: AbortSignal | undefined,
  ): Promise<Repository> {
    const { certsDirs, patience = defaultPatience } = this.#settings;
    if (options.authFile !== undefined) await requireAuthFile(options.authFile);
    return new Repository({
      hosts: await hostsOf(name.registry, { certsDirs, plainHttp: options.plainHttp === true }),
      repository: name.repository,
      authorization: this.#authorizationFor(options.authFile),
      secrets: new Secrets(),
      patience,
      signal,
    });
  }

  #bandwidthFor({ maxBytesPerSecond: bytesPerSecond, group }: RegistryOptions): Pick<Bandwidth, "spend"> {
    if (bytesPerSecond === undefined || group === undefined) return new Bandwidth(bytesPerSecond);
    const directory = join(this.#settings.slotsDir, "bandwidth");
    return new SharedBandwidth({ directory, group, bytesPerSecond });
  }

  #authorizationFor(authFile: string | undefined): Authorization {
    const known = this.#authorizations.get(authFile);
    if (known !== undefined) return known;
    if (this.#authorizations.size >= maxAuthFiles) this.#authorizations.clear();
    const sources = { ...this.#settings.credentials, authFile };
    const authorization = new Authorization((...asked) => findCredential(sources, ...asked));
    this.#authorizations.set(authFile, authorization);
    return authorization;
  }
}
