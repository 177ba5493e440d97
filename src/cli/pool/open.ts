// Room: cli. Owns the choice of the pool that a command works on. What reaches it is loaded here, and not before.
import type { Command } from "commander";
import type { Config, Overrides } from "../../config.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import type { LocalService } from "../../service/local-service.ts";
import { notice } from "../output/output.ts";
import { type Remote, remoteOf } from "../support/host.ts";
import { configOf, configsOf, refuseSeveral } from "../support/options.ts";
import type { BatchPool, Pool, UnpackPool } from "./pool.ts";

/** `name`: the command's argument, which replaces --pool. */
export const poolConfig = (command: Command, name: PoolName | undefined): Config =>
  configOf(command, name === undefined ? {} : { SNAPMILL_POOL: name });

export async function openPool(command: Command, name?: PoolName): Promise<Pool> {
  const remote = remoteOf(command);
  if (remote !== undefined) return await openRemote(command, remote, { name });
  await interpretSchemas();
  const { openLocalPool } = await import("./local.ts");
  return openLocalPool(poolConfig(command, name));
}

/** Before anything is loaded that makes schemas. */
async function interpretSchemas(): Promise<void> {
  (await import("../../service/interpret-schemas.ts")).interpretSchemas();
}

interface RemoteOptions {
  readonly name?: PoolName | undefined;
  /** Ends what is asked of the other host. */
  readonly signal?: AbortSignal;
}

async function openRemote(command: Command, remote: Remote, { name, signal }: RemoteOptions = {}): Promise<Pool> {
  const [only, ...more] = name === undefined ? remote.pools : [name];
  if (only === undefined || more.length > 0) return refuseSeveral(command);
  const { openRemotePool } = await import("./remote.ts");
  return openRemotePool(remote, only, signal);
}

/** For commands that work on this host, whatever others do. */
export async function openHere(command: Command, name?: PoolName): Promise<LocalService> {
  const { LocalService } = await import("../../service/local-service.ts");
  return new LocalService(poolConfig(command, name), notice);
}

interface While {
  readonly signal: AbortSignal;
  readonly overrides?: Overrides;
  /** How many images the action unpacks: more workers are not started for it, and they log only failures. */
  readonly forImages?: number;
}

/** Runs `action` on the pool. Where nothing runs that can make changes, services run for as long as the action takes. */
export const whilePoolRuns = <T>(command: Command, given: While, action: (pool: Pool) => Promise<T>): Promise<T> =>
  onPool(command, given, action, async (config) => {
    await interpretSchemas();
    const { whileLocalPoolRuns } = await import("./local.ts");
    return await whileLocalPoolRuns(config, given.signal, action);
  });

/** The same for an action that only unpacks. */
export const whilePoolUnpacks = <T>(
  command: Command,
  given: While,
  action: (pool: UnpackPool) => Promise<T>,
): Promise<T> =>
  onPool(command, given, action, async (config) => {
    await interpretSchemas();
    const { whileLocalPoolUnpacks } = await import("./unpacking.ts");
    return await whileLocalPoolUnpacks(config, given.signal, action);
  });

async function onPool<T>(
  command: Command,
  { signal, overrides = {}, forImages }: While,
  remotely: (pool: Pool) => Promise<T>,
  here: (config: Config) => Promise<T>,
): Promise<T> {
  const remote = remoteOf(command);
  if (remote !== undefined) return await remotely(await openRemote(command, remote, { signal }));
  const config = configOf(command, overrides);
  return await here(forImages === undefined ? config : quietly(config, forImages));
}

/** The command reports failures itself, and log lines would disturb its progress bars. */
const quietly = (config: Config, images: number): Config => ({
  ...config,
  unpackWorkers: Math.min(config.unpackWorkers, images),
  logLevel: config.logLevel === "info" ? "error" : config.logLevel,
});

/** The pool's batches: on this host if the pool runs here; with a shared Redis, otherwise on another host. */
export async function openBatches(command: Command): Promise<BatchPool> {
  const remote = remoteOf(command);
  if (remote !== undefined) return await openRemote(command, remote);
  const { reachBatches } = await import("./queue.ts");
  return await reachBatches(configOf(command));
}

/** Runs `action` on the batches of each --pool. To wait for them, a pool of this host alone is one that runs. */
export async function withBatches<T>(
  command: Command,
  { signal, overrides = {}, toWait }: While & { readonly toWait: boolean },
  action: (pools: readonly BatchPool[]) => Promise<T>,
): Promise<T> {
  const remote = remoteOf(command);
  if (remote !== undefined) {
    const { openRemotePool } = await import("./remote.ts");
    return await action(remote.pools.map((name) => openRemotePool(remote, name, signal)));
  }
  const configs = configsOf(command, overrides);
  const [config, ...others] = configs;
  if (toWait && config !== undefined && others.length === 0 && config.redisUrl === undefined) {
    return await whilePoolRuns(command, { signal, overrides }, (pool) => action([pool]));
  }
  const { reachBatches } = await import("./queue.ts");
  await using stack = new AsyncDisposableStack();
  const pools: BatchPool[] = [];
  for (const each of configs) pools.push(stack.use(await reachBatches(each)));
  return await action(pools);
}
