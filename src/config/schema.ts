// Room: config. Owns all settings: names, kinds, defaults, and what they are for. Everything else is derived from here.
import { fsTypes } from "../domain/devices.ts";
import { parseAddress } from "../domain/http-address.ts";
import { type PoolName, poolName } from "../domain/identifiers.ts";
import { dmControlNames } from "../drivers/devicemapper/control/control.ts";
import { driverNames } from "../drivers/port.ts";
import { redisLabel, redisOptions } from "../jobs/redis/url.ts";
import { anyText, flag, list, oneOf, parsed, pause, percentage, size, text, wholeNumber, words } from "./kinds.ts";
import { setting } from "./setting.ts";

/** `auto`: what the pool was made for. */
export const driverChoices = ["auto", ...driverNames] as const;

export const inflateChoices = ["auto", "isal", "zlib"] as const;

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;

export const logFormats = ["auto", "json", "pretty"] as const;
/** `auto`: `pretty` on a terminal, `json` otherwise. */
export type LogFormat = (typeof logFormats)[number];

const redis = parsed("a URL of Redis", (url: string) => {
  redisOptions(url);
  return url;
});

const httpAddress = parsed('an address, such as "127.0.0.1:7070"', (address: string) => {
  parseAddress(address);
  return address;
});

const hostNamePattern = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i;

const hostNames = list({
  describes: "a list of host names",
  separator: ",",
  read: (name) => {
    if (!hostNamePattern.test(name)) throw new Error("give host names without port, separated by commas");
    return name.toLowerCase();
  },
});

/** In the order of the documents. The property names are those of `Config`. */
export const schema = {
  configFile: setting({
    variable: "SNAPMILL_CONFIG",
    flag: "--config",
    kind: anyText,
    otherwise: "`/etc/snapmill/config.toml`, if it is there",
    help: "the file of settings; empty: none",
  }),
  stateDir: setting({
    variable: "SNAPMILL_STATE_DIR",
    key: "state-dir",
    flag: "--state-dir",
    kind: text,
    default: "/var/lib/snapmill",
    help: "where everything is stored",
  }),
  runRootDir: setting({
    variable: "SNAPMILL_RUN_DIR",
    key: "run-dir",
    kind: text,
    default: "/run/snapmill",
    help: "sockets and the stable paths of devices; keep it short",
  }),
  logLevel: setting({
    variable: "SNAPMILL_LOG_LEVEL",
    key: "log-level",
    kind: oneOf(logLevels),
    default: "info",
    reloadable: ["up", "pool", "unpack", "grpc"],
    help: "`trace` to `error`, `silent`",
  }),
  logFormat: setting({
    variable: "SNAPMILL_LOG_FORMAT",
    key: "log-format",
    kind: oneOf(logFormats),
    default: "auto",
    help: "`json`: an object a line; `pretty`: lines for people; `auto`: `pretty` on a terminal",
  }),
  redisUrl: setting({
    variable: "REDIS_URL",
    key: "redis-url",
    kind: redis,
    secret: redisLabel,
    otherwise: "a private redis-server",
    help: "`redis://`, `rediss://` or `unix://`",
  }),
  httpAddress: setting({
    variable: "SNAPMILL_HTTP_ADDRESS",
    key: "http.address",
    flag: "--http-address",
    kind: httpAddress,
    default: "127.0.0.1:7070",
    help: "the dashboard",
  }),
  /** Names by which browsers reach the dashboard. */
  httpNames: setting({
    variable: "SNAPMILL_HTTP_NAMES",
    key: "http.names",
    kind: hostNames,
    default: "",
    reloadable: ["up"],
    help: "host names by which browsers reach it, besides its address and `localhost`, separated by commas",
  }),
  metricsOpen: setting({
    variable: "SNAPMILL_METRICS_OPEN",
    key: "metrics.open",
    kind: flag,
    default: "false",
    reloadable: ["up"],
    help: "answer `/metrics` without a token to programs on the same machine",
  }),
  httpCertificate: setting({
    variable: "SNAPMILL_HTTP_CERT",
    key: "http.certificate",
    kind: text,
    otherwise: "plain HTTP",
    reloadable: ["up"],
    needsRestart: "to be set or unset",
    help: "the PEM file of the certificate for HTTPS, with those that lead to its root; a renewed one is taken over; to switch HTTPS on or off needs a restart",
  }),
  httpKey: setting({
    variable: "SNAPMILL_HTTP_KEY",
    key: "http.key",
    kind: text,
    otherwise: "plain HTTP",
    reloadable: ["up"],
    needsRestart: "to be set or unset",
    help: "the PEM file of its key, without a passphrase, 0600",
  }),
  httpRequestsPerSecond: setting({
    variable: "SNAPMILL_HTTP_RATE",
    key: "http.requests-per-second",
    kind: wholeNumber(1, 1_000_000),
    default: "2000",
    reloadable: ["up"],
    help: "requests of one token, with bursts of twice as many; more are answered 429",
  }),
  registryConnections: setting({
    variable: "SNAPMILL_REGISTRY_CONNECTIONS",
    key: "registry.connections",
    kind: wholeNumber(1, 64),
    default: "4",
    reloadable: ["unpack"],
    help: "layers fetched from one registry at the same time, on this machine",
  }),
  registryCertsDirs: setting({
    variable: "SNAPMILL_REGISTRY_CERTS",
    key: "registry.certs",
    kind: list({ describes: "a list of directories", separator: ":" }),
    default: "/etc/containerd/certs.d:/etc/docker/certs.d",
    reloadable: ["unpack"],
    help: "directories of hosts.toml files and certificates, laid out as containerd's config_path",
  }),
  /** Total size of the blobs kept on disk; 0: none. */
  blobCacheBytes: setting({
    variable: "SNAPMILL_BLOB_CACHE",
    key: "registry.blob-cache",
    kind: size({ mayBeZero: true }),
    default: "4GiB",
    reloadable: ["unpack"],
    help: "compressed layers kept on disk while several images may need them; `0`: none",
  }),
  inflate: setting({
    variable: "SNAPMILL_INFLATE",
    key: "inflate",
    kind: oneOf(inflateChoices),
    default: "auto",
    reloadable: ["unpack"],
    help: "what decompresses gzip: `isal` (ISA-L, which is faster), `zlib` (node:zlib), or `auto`: ISA-L where it is installed and passes its self-test",
  }),
  pool: setting<PoolName, "SNAPMILL_POOL">({
    variable: "SNAPMILL_POOL",
    key: "pool",
    flag: "--pool",
    kind: parsed("the name of a pool", poolName),
    default: "default",
    help: "the pool's name; with several pools in the file, the one that commands work on (default: the first)",
  }),
  driver: setting({
    variable: "SNAPMILL_DRIVER",
    key: "driver",
    flag: "--driver",
    kind: oneOf(driverChoices),
    default: "auto",
    perPool: true,
    help: "`reflink` or `devmapper`; `auto` is the driver of the existing pool, `reflink` for a new one",
  }),
  poolSizeBytes: setting({
    variable: "SNAPMILL_POOL_SIZE",
    key: "size",
    flag: "--size",
    kind: size(),
    default: "20GiB",
    perPool: true,
    help: "size of a new pool: an upper bound, the file is sparse",
  }),
  /** Of a base snapshot's device: an upper bound, since space is taken as it is written. */
  deviceSizeBytes: setting({
    variable: "SNAPMILL_DEVICE_SIZE",
    key: "device-size",
    kind: size(),
    default: "10GiB",
    perPool: true,
    reloadable: ["pool"],
    help: "size of a base snapshot's device: an upper bound; the label `containerd.io/snapshot/max-size` sets it for one snapshot",
  }),
  /** The limit for any device: no label can make the pool's worker create a file system of petabytes. */
  maxDeviceSizeBytes: setting({
    variable: "SNAPMILL_MAX_DEVICE_SIZE",
    key: "max-device-size",
    kind: size({ mostBytes: 16 * 2 ** 40, most: "at most 16TiB, which is what ext4 has in blocks of 4 KiB" }),
    default: "1TiB",
    perPool: true,
    reloadable: ["pool"],
    help: "the most that the label can ask for; at most `16TiB`",
  }),
  fsType: setting({
    variable: "SNAPMILL_FS_TYPE",
    key: "fs-type",
    kind: oneOf(fsTypes),
    default: "ext4",
    perPool: true,
    help: "file system on the devices: `ext4` or `xfs`",
  }),
  /** Arguments for mkfs instead of snapmill's own. */
  fsOptions: setting({
    variable: "SNAPMILL_FS_OPTIONS",
    key: "fs-options",
    kind: words,
    perPool: true,
    otherwise: "snapmill's own",
    help: "arguments for mkfs, separated by spaces; by default an ext4 has one inode per 4 KiB",
  }),
  /** How the devmapper driver talks to the kernel: see drivers/devicemapper/control/control.ts. */
  dmControl: setting({
    variable: "SNAPMILL_DM_CONTROL",
    key: "dm-control",
    kind: oneOf(dmControlNames),
    default: "dmsetup",
    perPool: true,
    help: "how to control device-mapper: `dmsetup`, or `libdevmapper` in process, which is faster",
  }),
  /** 0.1 is a tenth. */
  minFreeShare: setting({
    variable: "SNAPMILL_MIN_FREE",
    key: "min-free",
    kind: percentage,
    default: "10%",
    perPool: true,
    reloadable: ["pool"],
    help: "share of a thin-pool's data and of its metadata below which nothing new is made",
  }),
  /** So that a sparse pool file returns them to the host. */
  discardBlocks: setting({
    variable: "SNAPMILL_DISCARD_BLOCKS",
    key: "discard-blocks",
    kind: flag,
    default: "false",
    perPool: true,
    reloadable: ["pool"],
    help: "discard a device's blocks before it is deleted",
  }),
  asyncRemove: setting({
    variable: "SNAPMILL_ASYNC_REMOVE",
    key: "async-remove",
    kind: flag,
    default: "false",
    perPool: true,
    reloadable: ["pool"],
    help: "answer a removal at once, and delete the device later, with as many attempts as it takes",
  }),
  removeAttempts: setting({
    variable: "SNAPMILL_REMOVE_ATTEMPTS",
    key: "remove-attempts",
    kind: wholeNumber(1, 100_000),
    default: "130",
    perPool: true,
    reloadable: ["pool"],
    help: "attempts (about an hour) before a device's removal counts as failed; it can then be seen and retried",
  }),
  removeFirstPauseMs: setting({
    variable: "SNAPMILL_REMOVE_FIRST_PAUSE",
    key: "remove-first-pause",
    kind: pause,
    default: "200ms",
    perPool: true,
    reloadable: ["pool"],
    help: "the pause after the first attempt at a device's removal; each further one is twice as long",
  }),
  removeLongestPauseMs: setting({
    variable: "SNAPMILL_REMOVE_LONGEST_PAUSE",
    key: "remove-longest-pause",
    kind: pause,
    default: "39s",
    perPool: true,
    reloadable: ["pool"],
    help: "the longest of these pauses",
  }),
  /** Path of a UNIX socket; undefined: containerd is not served. */
  grpcAddress: setting({
    variable: "SNAPMILL_GRPC_ADDRESS",
    key: "grpc-address",
    flag: "--grpc-address",
    kind: anyText,
    perPool: true,
    otherwise: "`<state-dir>/containerd.sock`",
    help: "the socket of containerd's snapshots service; empty: none",
  }),
  unpackWorkers: setting({
    variable: "SNAPMILL_UNPACK_WORKERS",
    key: "unpack-workers",
    flag: "--unpack-workers",
    kind: wholeNumber(1, 64),
    default: "2",
    perPool: true,
    reloadable: ["pool"],
    help: "images unpacked at the same time",
  }),
  /** `<point>@<marker file>`: see system/faults.ts. Tests only. */
  fault: setting({ variable: "SNAPMILL_FAULT", kind: text, otherwise: "none" }),
  /** The claim on the pool's name that the pool's worker may move: see jobs/claims/pool-claims.ts. Set by `up` alone. */
  takeOver: setting({ variable: "SNAPMILL_TAKE_OVER", kind: anyText, otherwise: "none" }),
} as const;

export type Name = keyof typeof schema;
export type Values = {
  readonly [Each in Name]: (typeof schema)[Each] extends { readonly type?: () => infer Value } ? Value : never;
};
/** The environment variables. */
export type Variable = (typeof schema)[Name]["variable"];
