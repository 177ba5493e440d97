// Room: cli. Owns whose pool a command works on: this machine's, or another host's.
import { type Command, Option } from "commander";
import { type RemoteSettings, remoteSettings } from "../../config.ts";
import { failedPrecondition } from "../../domain/errors.ts";
import { type PoolName, poolName } from "../../domain/identifiers.ts";

export const hostOption = () =>
  new Option(
    "--host <url>",
    "use another host's snapmill (SNAPMILL_HOST): https://HOST[:PORT] or unix:///PATH; its token is in SNAPMILL_TOKEN",
  );

interface GlobalOptions {
  readonly stateDir?: string;
  readonly pool?: readonly PoolName[];
  readonly host?: string;
}

export interface Remote extends RemoteSettings {
  readonly host: string;
  readonly pools: readonly PoolName[];
}

/** The other host whose pool `command` works on; undefined: it is this one's. A flag counts more than the environment. */
export function remoteOf(command: Command): Remote | undefined {
  const { host: named, stateDir, pool } = command.optsWithGlobals<GlobalOptions>();
  const settings = remoteSettings();
  if (named !== undefined && stateDir !== undefined) command.error("--host and --state-dir contradict each other");
  const host = named ?? (stateDir === undefined ? settings.host : undefined);
  if (host === undefined || host === "") return undefined;
  return { ...settings, host, pools: pool === undefined ? [poolName(settings.pool ?? "default")] : [...new Set(pool)] };
}

/** Throws failed_precondition where another host's pool is meant. */
export function requireHere(command: Command): void {
  if (remoteOf(command) === undefined) return;
  const names: string[] = [];
  for (let each: Command | null = command; each !== null; each = each.parent) names.unshift(each.name());
  throw failedPrecondition(
    `'${names.join(" ")}' works on this machine only: run it on the pool's host, or without SNAPMILL_HOST and --host`,
  );
}
