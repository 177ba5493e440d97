// Room: config. Owns the values of all settings, and where each comes from: a flag, the environment, the file, a default.
import type { PoolName } from "../domain/identifiers.ts";
import { type Name, schema, type Values, type Variable } from "./schema.ts";
import type { Setting } from "./setting.ts";
import type { FileText, SettingsFile } from "./settings-text.ts";

/** All settings, as they are used where their values do not matter. */
export const settings = Object.entries(schema) as unknown as readonly (readonly [Name, Setting<unknown, Variable>])[];

/** What tells where a setting comes from. */
type Named = Pick<Setting<unknown, Variable>, "variable" | "key" | "default">;

export type Texts = Readonly<Partial<Record<Variable, string | undefined>>>;

/** What is given, from the strongest to the weakest. */
export interface Given {
  readonly flags: Texts;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Undefined: there is none. */
  readonly file: SettingsFile | undefined;
}

export type Source =
  | { readonly kind: "flag" | "environment" | "default" }
  | { readonly kind: "file"; readonly path: string; readonly line: number; readonly key: string };

export interface Found {
  /** Undefined: the setting is not set, and has no default. */
  readonly text: string | undefined;
  readonly source: Source;
}

export interface Resolved {
  /** Undefined: there are faults. */
  readonly values: Values | undefined;
  /** What is wrong, a sentence each. */
  readonly faults: readonly string[];
}

/** `pool`: whose table of the file counts. */
export function findText({ flags, environment, file }: Given, setting: Named, pool: PoolName): Found {
  const { variable, key = "" } = setting;
  const flag = flags[variable];
  if (flag !== undefined) return { text: flag, source: { kind: "flag" } };
  const ofEnvironment = environment[variable];
  if (ofEnvironment !== undefined) return { text: ofEnvironment, source: { kind: "environment" } };
  const inFile = file?.pools.get(pool)?.get(key) ?? file?.top.get(key);
  if (file !== undefined && inFile !== undefined) return { text: inFile.text, source: placeIn(file, inFile) };
  return { text: setting.default, source: { kind: "default" } };
}

const placeIn = ({ path }: SettingsFile, { line, key }: FileText): Source => ({ kind: "file", path, line, key });

/** For errors: "FILE:12: min-free", or the variable. */
export const labelOf = ({ variable }: Named, source: Source): string =>
  source.kind === "file" ? `${source.path}:${source.line}: ${source.key}` : variable;

/** The values for one pool. */
export function resolveSettings(given: Given, pool: PoolName): Resolved {
  const found: Partial<Record<Name, unknown>> = {};
  const faults: string[] = [];
  for (const [name, setting] of settings) {
    const { text, source } =
      name === "pool" ? { text: pool, source: { kind: "default" } as const } : findText(given, setting, pool);
    try {
      found[name] = text === undefined ? undefined : setting.kind.parse(text);
    } catch (error) {
      faults.push(`${labelOf(setting, source)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const values = found as Values;
  if (faults.length === 0) faults.push(...contradictions(given, values));
  return { values: faults.length === 0 ? values : undefined, faults };
}

const contradictions = (given: Given, values: Values): string[] => [
  ...tooLargeDevices(given, values),
  ...halfAnHttps(given, values),
];

/** A certificate without its key, or a key alone. */
function halfAnHttps(given: Given, { pool, httpCertificate, httpKey }: Values): string[] {
  if ((httpCertificate === undefined) === (httpKey === undefined)) return [];
  const [set, missing] =
    httpKey === undefined ? [schema.httpCertificate, schema.httpKey] : [schema.httpKey, schema.httpCertificate];
  const { source } = findText(given, set, pool);
  const other = source.kind === "file" ? (missing.key ?? missing.variable) : missing.variable;
  return [`${labelOf(set, source)}: HTTPS needs a certificate and its key: set ${other} as well`];
}

function tooLargeDevices(given: Given, { pool, deviceSizeBytes, maxDeviceSizeBytes }: Values): string[] {
  if (deviceSizeBytes <= maxDeviceSizeBytes) return [];
  const { source } = findText(given, schema.deviceSizeBytes, pool);
  const most = source.kind === "file" ? "max-device-size" : "SNAPMILL_MAX_DEVICE_SIZE";
  return [`${labelOf(schema.deviceSizeBytes, source)}: more than ${most} (1TiB by default)`];
}

/** The texts of which `values` are made again, by variable. */
export const textsOf = (values: Values): Record<Variable, string | undefined> =>
  Object.fromEntries(
    settings.map(([name, { variable, kind }]) => {
      const value = values[name];
      return [variable, value === undefined ? undefined : kind.format(value)];
    }),
  ) as Record<Variable, string | undefined>;
