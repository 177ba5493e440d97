// Room: top. Owns everything that is read from the environment: no other file reads process.env.
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { resolveAll } from "./config/pools.ts";
import { findText, type Given, labelOf } from "./config/resolve.ts";
import { type Name, schema, type Values, type Variable } from "./config/schema.ts";
import { readSettingsFile } from "./config/settings-file.ts";
import { internal, invalidArgument } from "./domain/errors.ts";
import type { PoolName } from "./domain/identifiers.ts";

export type Overrides = Partial<Record<Variable, string | undefined>>;

export interface Config extends Omit<Values, "configFile" | "stateDir" | "grpcAddress" | "fsOptions"> {
  /** The file that was read; undefined: none. */
  readonly configFile: string | undefined;
  readonly stateDir: string;
  /** Short even if the state directory's path is long: a UNIX socket's path has at most 108 bytes. */
  readonly runDir: string;
  readonly fsOptions: readonly string[] | undefined;
  /** Path of a UNIX socket; undefined: containerd is not served. */
  readonly grpcAddress: string | undefined;
  /** Shared with other state directories: concurrent downloads are limited per machine. */
  readonly registrySlotsDir: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the configuration of one pool. Command-line flags (`overrides`, by variable) take precedence over the
 * environment, that over the file, and that over the defaults. Throws one invalid_argument that names everything that is
 * wrong, also with other pools of the file.
 */
export function readConfig(overrides: Overrides = {}, environment: Environment = process.env): Config {
  const { pool, configs } = readAll(overrides, environment);
  const config = configs.get(pool);
  if (config === undefined) throw internal(`pool ${pool} has no settings`);
  return config;
}

/**
 * The configurations of the pools that `up` serves: those of the file; without any there, the one that `readConfig`
 * answers. A flag chooses one. Throws what `readConfig` throws.
 */
export function readServed(overrides: Overrides = {}, environment: Environment = process.env): readonly Config[] {
  const outcome = readAll(overrides, environment);
  const faults = unknownPools(outcome);
  if (faults.length > 0) throw invalidArgument(`configuration: ${faults.join("; ")}`);
  return servedOf(outcome);
}

/** A flag that names a pool which the file does not have is a slip: a pool of that name would be made. */
function unknownPools({ given: { file }, served }: ReturnType<typeof readAll>): readonly string[] {
  if (file === undefined || file.pools.size === 0) return [];
  const known = [...file.pools.keys()].join(", ");
  return served
    .filter((pool) => !file.pools.has(pool))
    .map(
      (pool) => `--pool ${pool}: there is no table [pools.${pool}] in ${file.path}: add it, or name one of ${known}`,
    );
}

export type ServedReading =
  | {
      readonly kind: "right";
      readonly served: readonly Config[];
      /** Where a setting of a pool is set: "FILE:12: min-free", or a variable. */
      readonly placeOf: (pool: PoolName, name: Name) => string;
    }
  | { readonly kind: "wrong"; readonly faults: readonly string[] };

/** What `readServed` answers for each of `flags`, together, with everything that is wrong instead of an error. */
export function readServedAgain(
  flags: readonly Overrides[] = [{}],
  environment: Environment = process.env,
): ServedReading {
  const outcomes = flags.map((each) => resolveConfigs(each, environment));
  const faultsOf = (outcome: ReturnType<typeof resolveConfigs>) =>
    outcome.kind === "wrong" ? outcome.faults : unknownPools(outcome);
  const faults = new Set(outcomes.flatMap(faultsOf));
  if (faults.size > 0) return { kind: "wrong", faults: [...faults] };
  const right = outcomes.flatMap((outcome) => (outcome.kind === "right" ? [outcome] : []));
  return {
    kind: "right",
    served: right.flatMap(servedOf),
    placeOf: (pool, name) => {
      const given = right.find(({ served }) => served.includes(pool))?.given ?? givenSettings({}, environment);
      return labelOf(schema[name], findText(given, schema[name], pool).source);
    },
  };
}

/** What the settings are made of: for `snapmill config`, and for a reload. */
export const givenSettings = (overrides: Overrides = {}, environment: Environment = process.env): Given => ({
  flags: overrides,
  environment,
  file: readSettingsFile(overrides.SNAPMILL_CONFIG ?? environment["SNAPMILL_CONFIG"]),
});

function readAll(overrides: Overrides, environment: Environment) {
  const outcome = resolveConfigs(overrides, environment);
  if (outcome.kind === "wrong") throw invalidArgument(`configuration: ${outcome.faults.join("; ")}`);
  return outcome;
}

function resolveConfigs(overrides: Overrides, environment: Environment) {
  const given = givenSettings(overrides, environment);
  const outcome = resolveAll(given);
  if (outcome.kind === "wrong") return outcome;
  const configs = new Map([...outcome.values].map(([pool, values]) => [pool, configOf(given, values)]));
  return { ...outcome, given, configs };
}

type AllConfigs = Pick<ReturnType<typeof readAll>, "served" | "configs">;
const servedOf = ({ served, configs }: AllConfigs): readonly Config[] =>
  served.flatMap((pool) => configs.get(pool) ?? []);

function configOf({ file }: Given, values: Values): Config {
  const { runRootDir, pool } = values;
  const stateDir = resolve(values.stateDir);
  // Several pools need a socket each, and a pool keeps its socket when another is added to the file.
  const usualSocket = file?.pools.has(pool) ? `containerd-${pool}.sock` : "containerd.sock";
  const grpcAddress = values.grpcAddress ?? join(stateDir, usualSocket);
  const shortName = createHash("sha256").update(stateDir).digest("hex").slice(0, 12);
  return {
    ...values,
    configFile: file?.path,
    stateDir,
    runDir: join(runRootDir, shortName),
    fsOptions: values.fsOptions?.length === 0 ? undefined : values.fsOptions,
    grpcAddress: grpcAddress === "" ? undefined : resolve(grpcAddress),
    registrySlotsDir: join(runRootDir, `registries-${process.geteuid?.() ?? 0}`),
  };
}

/**
 * What is for this process alone: a service manager's words to the process that it started, and the trace that it is part
 * of, since a child works for many.
 */
const forThisProcess = {
  NOTIFY_SOCKET: undefined,
  WATCHDOG_USEC: undefined,
  WATCHDOG_PID: undefined,
  TRACEPARENT: undefined,
};

/** The environment of a child process of snapmill: that of this process, changed by `overrides`. */
export function childEnvironment(overrides: Overrides): Record<string, string> {
  const merged: Record<string, string | undefined> = { ...process.env, ...forThisProcess, ...overrides };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/**
 * Whether OpenTelemetry's variables ask for traces. All others of its variables are read by its library, where it is
 * used (telemetry/open-telemetry.ts).
 */
export function wantsTraces(environment: Readonly<Record<string, string | undefined>> = process.env): boolean {
  const set = (name: string) => environment[name]?.trim() || undefined;
  if (set("OTEL_SDK_DISABLED")?.toLowerCase() === "true") return false;
  if ((set("OTEL_TRACES_EXPORTER") ?? "otlp") !== "otlp") return false;
  return (set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") ?? set("OTEL_EXPORTER_OTLP_ENDPOINT")) !== undefined;
}

/** The trace that a command is part of, as its caller passes it on in the environment. */
export const callersTrace = (
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined => environment["TRACEPARENT"];

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
  /** The API for callers on this host who own the run directory. */
  httpSocket: (config: Config) => join(config.runDir, "http.sock"),
  /** Held (flock) by a running `up`; holds one line of JSON about it. */
  upLock: (config: Config) => join(config.stateDir, "up.lock"),
  /** Files that are deleted when the disk is full, so that snapshots can be removed. */
  reserve: (config: Config) => join(config.stateDir, "reserve"),
  /** What `up` itself records: the audit log. */
  serviceDatabase: (config: Config) => join(config.stateDir, "service.db"),
  /** The token that `up` makes by itself. */
  httpToken: (config: Config) => join(config.stateDir, "http-token"),
  /** What sessions of browsers are signed with. */
  sessionKey: (config: Config) => join(config.stateDir, "http-session-key"),
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

export interface ServiceManagerSettings {
  /** Where it listens: see system/process/notify-socket.ts; undefined: nowhere. */
  readonly socket: string | undefined;
  /** The process is ended when it has not shown for this long that it is alive; undefined: it is not watched. */
  readonly watchdogMs: number | undefined;
}

/** What a service manager wants to hear of this process: sd_notify(3), sd_watchdog_enabled(3). */
export function serviceManagerSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ServiceManagerSettings {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched } = environment;
  const isWatched = /^[1-9]\d*$/.test(watchdog ?? "") && (watched === undefined || watched === String(process.pid));
  return { socket: socket || undefined, watchdogMs: isWatched ? Number(watchdog) / 1_000 : undefined };
}

export interface RemoteSettings {
  /** `https://HOST[:PORT]`, `unix:///PATH`; undefined: the pool is this machine's. */
  readonly host: string | undefined;
  readonly pool: string | undefined;
  readonly token: string | undefined;
  /** A file with the certificates that are trusted. */
  readonly caFile: string | undefined;
}

/** How to reach the snapmill of another host. Not part of `Config`, which describes this one's and is not secret. */
export function remoteSettings(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): RemoteSettings {
  const set = (name: string) => environment[name] || undefined;
  return {
    host: set("SNAPMILL_HOST"),
    pool: set("SNAPMILL_POOL"),
    token: set("SNAPMILL_TOKEN"),
    caFile: set("SNAPMILL_CA"),
  };
}
