// Room: domain. Owns what may be asked for along with an image in a registry: it travels through the queue.

/** No secret among it: credentials are looked up on the pool's host. */
export interface RegistryOptions {
  /** The absolute path of a file on the pool's host; it alone is searched for credentials. */
  readonly authFile?: string | undefined;
  /** The registry is reached over HTTP where no hosts.toml says otherwise. */
  readonly plainHttp?: boolean | undefined;
  /** An attempt that is slower has failed. */
  readonly minBytesPerSecond?: number | undefined;
  /** All layers of the image together. */
  readonly maxBytesPerSecond?: number | undefined;
}
