// Room: domain. Owns the options of an unpack from a registry; they are sent through the queue.

/** They contain no secrets: credentials are looked up on the pool's host. */
export interface RegistryOptions {
  /** The absolute path of a file on the pool's host: the only place where credentials are looked for. */
  readonly authFile?: string | undefined;
  /** Use HTTP for the registry, unless a hosts.toml says otherwise. */
  readonly plainHttp?: boolean | undefined;
  /** A slower attempt fails. */
  readonly minBytesPerSecond?: number | undefined;
  /** All layers of the image together, or of all images of `group`. */
  readonly maxBytesPerSecond?: number | undefined;
  /**
   * The command or batch that this image is one of several of: its images share the bandwidth, and blobs that more than
   * one of them may want are fetched once. Letters, digits, '-' and '_', at most 64.
   */
  readonly group?: string | undefined;
}
