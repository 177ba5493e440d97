// Room: cli. Owns the options and argument parsers that commands share.
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Config, type Overrides, readConfig } from "../../config.ts";
import { isSnapmillError } from "../../domain/errors.ts";
import { ownScope, type PoolName, poolName, type Scope, scope, snapshotKey } from "../../domain/identifiers.ts";
import { checkLabels, type Labels, labelsOf } from "../../domain/snapshots.ts";
import { requireHere } from "./host.ts";

/** Turns a domain parser into one for commander: its invalid_argument becomes a usage error. */
export function accept<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (isSnapmillError(error, "invalid_argument")) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
}

/** The same for an option or argument that can be repeated. */
const acceptEach =
  <T>(parse: (text: string) => T) =>
  (text: string, previous: readonly T[] | undefined): readonly T[] => [...(previous ?? []), accept(parse)(text)];

export const parseKey = accept(snapshotKey);
export const parseKeys = acceptEach(snapshotKey);

/** Parses `name=value`; the value may be empty and may contain `=`. */
export function label(text: string): Labels {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError(`label ${JSON.stringify(text)} is not valid: write it as NAME=VALUE`);
  return checkLabels(labelsOf([[text.slice(0, equals), text.slice(equals + 1)]]));
}

export const parseLabels = (text: string, previous: Labels | undefined): Labels =>
  labelsOf([...Object.entries(previous ?? {}), ...Object.entries(accept(label)(text))]);

export function wholeNumber(from: number, to: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < from || value > to) {
      throw new InvalidArgumentError(`${JSON.stringify(text)} is not a whole number from ${from} to ${to}`);
    }
    return value;
  };
}

export interface JsonOption {
  readonly json?: true;
}
export interface ScopeOption {
  readonly scope: Scope;
}
export interface LabelOption {
  readonly label?: Labels;
}

export const jsonOption = (what: string) => new Option("--json", `print ${what}`);
export const scopeOption = () =>
  new Option("--scope <name>", "the scope of the snapshots").argParser(accept(scope)).default(ownScope);
export const labelOption = () =>
  new Option("-l, --label <name=value>", "a label for the new snapshot; may be repeated").argParser(parseLabels);
export const stateDirOption = () =>
  new Option("--state-dir <dir>", "where snapmill stores everything (SNAPMILL_STATE_DIR; default /var/lib/snapmill)");
export const poolOption = () =>
  new Option("--pool <name>", "the pool's name (SNAPMILL_POOL; default: default)").argParser(acceptEach(poolName));

export const configFileOption = () =>
  new Option(
    "--config <file>",
    'the file of settings, "" for none (SNAPMILL_CONFIG; default /etc/snapmill/config.toml)',
  );

interface GlobalOptions {
  readonly config?: string;
  readonly stateDir?: string;
  readonly pool?: readonly PoolName[];
}

/** The configuration for `command`: its options take precedence over the environment, that over the file. */
export function configOf(command: Command, overrides: Overrides = {}): Config {
  const [config, ...others] = configsOf(command, overrides);
  if (config === undefined || others.length > 0) return refuseSeveral(command);
  return config;
}

export const refuseSeveral = (command: Command): never =>
  command.error("this command works on one pool: give --pool only once");

/** The same for a command that accepts several pools: one configuration for each. */
export const configsOf = (command: Command, overrides: Overrides = {}): readonly Config[] =>
  flagsOf(command, overrides).map((flags) => readConfig(flags));

/** The flags of a command as settings, once for each --pool. */
export function flagsOf(command: Command, overrides: Overrides): readonly Overrides[] {
  requireHere(command);
  const { config, stateDir, pool } = command.optsWithGlobals<GlobalOptions>();
  const pools = pool === undefined ? [undefined] : [...new Set(pool)];
  return pools.map((name) => ({
    SNAPMILL_CONFIG: config,
    SNAPMILL_STATE_DIR: stateDir,
    SNAPMILL_POOL: name,
    ...overrides,
  }));
}

/** Examples for a command's help: what to type, and what it does. */
export function examples(...lines: readonly (readonly [command: string, meaning: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  return [
    "",
    "Examples:",
    ...lines.map(([command, meaning]) => `  $ snapmill ${command.padEnd(width)}  # ${meaning}`),
  ].join("\n");
}
