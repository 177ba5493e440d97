// Room: domain. Owns what may be asked for along with an image in a registry: it travels through the queue.

/** No secret among it: credentials are looked up on the pool's host. */
export interface RegistryOptions {
  /** The absolute path of a file on the pool's host; it alone is searched for credentials. */
  readonly authFile?: string | undefined;
  /** The registry is reached over HTTP where no hosts.toml says otherwise. */
  readonly plainHttp?: boolean | undefined;
  /** An attempt that is slower has failed. */
  readonly minBytesPerSecond?: number | undefined;
  /** All layers of the image together, or of all images of `group`. */
  readonly maxBytesPerSecond?: number | undefined;
  /**
   * The command or batch that this image is one of several of: its images share the bandwidth, and blobs that more than
   * one of them may want are fetched once. Letters, digits, '-' and '_', at most 64.
   */
  readonly group?: string | undefined;
}
