// Room: top. Owns everything that is read from the environment: no other file reads process.env.
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { fsTypes } from "./domain/devices.ts";
import { invalidArgument } from "./domain/errors.ts";
import { poolName } from "./domain/identifiers.ts";
import { parseSize } from "./domain/units.ts";
import { dmControlNames } from "./drivers/devicemapper/control/control.ts";
import { driverNames } from "./drivers/port.ts";

const size = z.string().transform(parseSize);
const flag = z.enum(["true", "false"]).transform((text) => text === "true");
const percentage = z
  .string()
  .regex(/^\d{1,2}(\.\d+)?%$/, "give a percentage below 100, such as 10%")
  .transform((text) => Number.parseFloat(text) / 100);

/** `auto`: what the pool was made for. */
export const driverChoices = ["auto", ...driverNames] as const;

const largestDeviceBytes = 16 * 2 ** 40;

const hostNames = z
  .string()
  .transform((text) =>
    text
      .toLowerCase()
      .split(/[\s,]+/)
      .filter((name) => name !== ""),
  )
  .pipe(
    z.array(z.string().regex(/^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/, "give host names without port, separated by commas")),
  );

const settings = z.object({
  SNAPMILL_STATE_DIR: z.string().min(1).default("/var/lib/snapmill"),
  SNAPMILL_RUN_DIR: z.string().min(1).default("/run/snapmill"),
  SNAPMILL_POOL: z.string().default("default").transform(poolName),
  SNAPMILL_DRIVER: z.enum(driverChoices).default("auto"),
  SNAPMILL_POOL_SIZE: size.default(20 * 2 ** 30),
  /** Size of a base snapshot's device: an upper bound, since space is taken as it is written. */
  SNAPMILL_DEVICE_SIZE: size.default(10 * 2 ** 30),
  /** The limit for any device: no label can make the pool's worker create a file system of petabytes. */
  SNAPMILL_MAX_DEVICE_SIZE: size
    .refine((bytes) => bytes <= largestDeviceBytes, "at most 16TiB, which is what ext4 has in blocks of 4 KiB")
    .default(2 ** 40),
  SNAPMILL_FS_TYPE: z.enum(fsTypes).default("ext4"),
  /** Arguments for mkfs instead of snapmill's defaults, separated by spaces. */
  SNAPMILL_FS_OPTIONS: z
    .string()
    .transform((text) => text.split(/\s+/).filter((word) => word !== ""))
    .optional(),
  /** How the devmapper driver talks to the kernel: see drivers/devicemapper/control/control.ts. */
  SNAPMILL_DM_CONTROL: z.enum(dmControlNames).default("dmsetup"),
  /** Share of a thin-pool's data, and of its metadata, that must be free before anything new is made. */
  SNAPMILL_MIN_FREE: percentage.default(0.1),
  /** Discards a device's blocks before it is deleted, so that a sparse pool file returns them to the host. */
  SNAPMILL_DISCARD_BLOCKS: flag.default(false),
  /** Answers a removal at once, and deletes the device later, with as many attempts as it takes. */
  SNAPMILL_ASYNC_REMOVE: flag.default(false),
  /** Attempts to remove a device before the removal counts as failed; the default takes about an hour. */
  SNAPMILL_REMOVE_ATTEMPTS: z.coerce.number().int().min(1).max(100_000).default(130),
  /** The socket of containerd's snapshots service: a path, or "" for none. Default: in the state directory. */
  SNAPMILL_GRPC_ADDRESS: z.string().optional(),
  SNAPMILL_UNPACK_WORKERS: z.coerce.number().int().min(1).max(64).default(2),
  /** Concurrent downloads from one registry on this machine. */
  SNAPMILL_REGISTRY_CONNECTIONS: z.coerce.number().int().min(1).max(64).default(4),
  /** Total size of the blobs kept on disk for several images; 0: none. */
  SNAPMILL_BLOB_CACHE: z
    .string()
    .transform((text) => (text === "0" ? 0 : parseSize(text)))
    .default(4 * 2 ** 30),
  /** Directories with hosts.toml files and certificates, laid out as containerd's config_path. */
  SNAPMILL_REGISTRY_CERTS: z.string().default("/etc/containerd/certs.d:/etc/docker/certs.d"),
  SNAPMILL_HTTP_ADDRESS: z.string().default("127.0.0.1:7070"),
  /** Names by which browsers reach the dashboard, besides its address and loopback, separated by commas. */
  SNAPMILL_HTTP_NAMES: hostNames.default([]),
  SNAPMILL_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
  /** `<point>@<marker file>`: see system/faults.ts. Tests only. */
  SNAPMILL_FAULT: z.string().optional(),
  /**
   * The claim on the pool's name that the pool's worker may move: see jobs/claims/pool-claims.ts. Set by `up` alone.
   */
  SNAPMILL_TAKE_OVER: z.string().optional(),
  REDIS_URL: z.string().min(1).optional(),
});

export type Setting = keyof z.input<typeof settings>;
export type Overrides = Partial<Record<Setting, string | undefined>>;

export interface Config {
  readonly stateDir: string;
  /** Short even if the state directory's path is long: a UNIX socket's path has at most 108 bytes. */
  readonly runDir: string;
  readonly pool: ReturnType<typeof poolName>;
  readonly driver: (typeof driverChoices)[number];
  readonly poolSizeBytes: number;
  readonly deviceSizeBytes: number;
  readonly maxDeviceSizeBytes: number;
  readonly fsType: (typeof fsTypes)[number];
  readonly fsOptions: readonly string[] | undefined;
  readonly dmControl: (typeof dmControlNames)[number];
  /** 0.1 is a tenth. */
  readonly minFreeShare: number;
  readonly discardBlocks: boolean;
  readonly asyncRemove: boolean;
  readonly removeAttempts: number;
  /** Path of a UNIX socket; undefined: containerd is not served. */
  readonly grpcAddress: string | undefined;
  readonly unpackWorkers: number;
  readonly registryConnections: number;
  readonly blobCacheBytes: number;
  readonly registryCertsDirs: readonly string[];
  /** Shared with other state directories: concurrent downloads are limited per machine. */
  readonly registrySlotsDir: string;
  readonly httpAddress: string;
  readonly httpNames: readonly string[];
  readonly logLevel: string;
  readonly fault: string | undefined;
  /** See jobs/claims/pool-claims.ts; undefined: none. */
  readonly takeOver: string | undefined;
  /** Undefined: the private redis-server of `up`, on a socket in the run directory. */
  readonly redisUrl: string | undefined;
}

/**
 * Reads the configuration. Command-line flags (`overrides`, by setting) take precedence over the environment, which
 * takes precedence over the defaults. Throws one invalid_argument that names every wrong setting.
 */
export function readConfig(
  overrides: Overrides = {},
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const given = Object.fromEntries(
    Object.keys(settings.shape).map((name) => {
      const setting = name as Setting;
      return [setting, overrides[setting] ?? environment[setting]];
    }),
  );
  const parsed = settings.safeParse(given);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw invalidArgument(`configuration: ${faults.join("; ")}`);
  }
  const values = parsed.data;
  if (values.SNAPMILL_DEVICE_SIZE > values.SNAPMILL_MAX_DEVICE_SIZE) {
    throw invalidArgument("configuration: SNAPMILL_DEVICE_SIZE: more than SNAPMILL_MAX_DEVICE_SIZE (1TiB by default)");
  }
  const stateDir = resolve(values.SNAPMILL_STATE_DIR);
  const grpcAddress = values.SNAPMILL_GRPC_ADDRESS ?? join(stateDir, "containerd.sock");
  const shortName = createHash("sha256").update(stateDir).digest("hex").slice(0, 12);
  return {
    stateDir,
    runDir: join(values.SNAPMILL_RUN_DIR, shortName),
    pool: values.SNAPMILL_POOL,
    driver: values.SNAPMILL_DRIVER,
    poolSizeBytes: values.SNAPMILL_POOL_SIZE,
    deviceSizeBytes: values.SNAPMILL_DEVICE_SIZE,
    maxDeviceSizeBytes: values.SNAPMILL_MAX_DEVICE_SIZE,
    fsType: values.SNAPMILL_FS_TYPE,
    fsOptions: values.SNAPMILL_FS_OPTIONS?.length === 0 ? undefined : values.SNAPMILL_FS_OPTIONS,
    dmControl: values.SNAPMILL_DM_CONTROL,
    minFreeShare: values.SNAPMILL_MIN_FREE,
    discardBlocks: values.SNAPMILL_DISCARD_BLOCKS,
    asyncRemove: values.SNAPMILL_ASYNC_REMOVE,
    removeAttempts: values.SNAPMILL_REMOVE_ATTEMPTS,
    grpcAddress: grpcAddress === "" ? undefined : resolve(grpcAddress),
    unpackWorkers: values.SNAPMILL_UNPACK_WORKERS,
    registryConnections: values.SNAPMILL_REGISTRY_CONNECTIONS,
    blobCacheBytes: values.SNAPMILL_BLOB_CACHE,
    registryCertsDirs: values.SNAPMILL_REGISTRY_CERTS.split(":").filter((directory) => directory !== ""),
    registrySlotsDir: join(values.SNAPMILL_RUN_DIR, `registries-${process.geteuid?.() ?? 0}`),
    httpAddress: values.SNAPMILL_HTTP_ADDRESS,
    httpNames: values.SNAPMILL_HTTP_NAMES,
    logLevel: values.SNAPMILL_LOG_LEVEL,
    fault: values.SNAPMILL_FAULT,
    takeOver: values.SNAPMILL_TAKE_OVER,
    redisUrl: values.REDIS_URL,
  };
}

/** The environment of a child process of snapmill: that of this process, changed by `overrides`. */
export function childEnvironment(overrides: Overrides): Record<string, string> {
  const merged: Record<string, string | undefined> = { ...process.env, ...overrides };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** Where everything is stored. */
export const paths = {
  poolDir: (config: Config) => join(config.stateDir, "pools", config.pool),
  database: (config: Config) => join(paths.poolDir(config), "metadata.db"),
  poolLock: (config: Config) => join(paths.poolDir(config), "owner.lock"),
  /** What the pool's worker is executing: see system/file/note.ts. */
  poolNote: (config: Config) => join(paths.poolDir(config), "in-hand"),
  chainLocks: (config: Config) => join(paths.poolDir(config), "locks"),
  /** Blobs from registries that several images may need. */
  blobs: (config: Config) => join(config.stateDir, "blobs"),
  redisDir: (config: Config) => join(config.stateDir, "redis"),
  redisSocket: (config: Config) => join(config.runDir, "redis.sock"),
  /** Held (flock) by a running `up`; holds one line of JSON about it. */
  upLock: (config: Config) => join(config.stateDir, "up.lock"),
  /** Files that are deleted when the disk is full, so that snapshots can be removed. */
  reserve: (config: Config) => join(config.stateDir, "reserve"),
  /** The token that `up` makes by itself. */
  httpToken: (config: Config) => join(config.stateDir, "http-token"),
  /** The hashes of all others. */
  tokens: (config: Config) => join(config.stateDir, "tokens.json"),
  /** Stable paths of active devices. */
  devices: (config: Config) => join(config.runDir, config.pool, "dev"),
} as const;

/** The Redis of the queue: the configured one, or the socket of the private one. */
export const redisUrl = (config: Config): string => config.redisUrl ?? `unix://${paths.redisSocket(config)}`;

/** What a driver needs to know about the configured pool. */
export const poolSettings = (config: Config) => ({
  driver: config.driver,
  pool: config.pool,
  poolDir: paths.poolDir(config),
  devicesDir: paths.devices(config),
  runDir: config.runDir,
  /** Of a new pool. */
  sizeBytes: config.poolSizeBytes,
  dmControl: config.dmControl,
  minFreeShare: config.minFreeShare,
  discardBlocks: config.discardBlocks,
});

/**
 * Where to look for registry credentials on this host, as docker and podman do. Not part of `Config`, which is not
 * secret.
 */
export function registrySettings(
  config: Config,
  environment: Readonly<Record<string, string | undefined>> = process.env,
) {
  const set = (name: string) => environment[name] || undefined;
  const home = set("HOME") ?? homedir();
  const runtimeDir = set("XDG_RUNTIME_DIR") ?? `/run/containers/${process.geteuid?.() ?? 0}`;
  const named = set("REGISTRY_AUTH_FILE");
  return {
    certsDirs: config.registryCertsDirs,
    connections: config.registryConnections,
    slotsDir: config.registrySlotsDir,
    credentials: {
      inline: set("DOCKER_AUTH_CONFIG"),
      files: [
        ...(named === undefined ? [] : [named]),
        set("XDG_RUNTIME_DIR") === undefined ? join(runtimeDir, "auth.json") : join(runtimeDir, "containers/auth.json"),
        join(set("XDG_CONFIG_HOME") ?? join(home, ".config"), "containers/auth.json"),
        join(set("DOCKER_CONFIG") ?? join(home, ".docker"), "config.json"),
      ],
    },
  };
}
