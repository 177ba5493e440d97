// Room: config. Owns which pools there are: those of the file, or the one that a flag or a variable names.
import { type PoolName, poolName } from "../domain/identifiers.ts";
import { findText, type Given, labelOf, resolveSettings } from "./resolve.ts";
import { schema, type Values } from "./schema.ts";
import type { SettingsFile } from "./settings-text.ts";

export interface PoolChoice {
  /** The one that a command works on. */
  readonly pool: PoolName;
  /** Those that `up` serves; never empty. */
  readonly served: readonly PoolName[];
}

export interface AllSettings extends PoolChoice {
  /** By pool: of those that are served, and of the chosen one. */
  readonly values: ReadonlyMap<PoolName, Values>;
}

export type Outcome =
  | ({ readonly kind: "right" } & AllSettings)
  | { readonly kind: "wrong"; readonly faults: readonly string[] };

/** Everything that is wrong is found at once, also in what is not used now. */
export function resolveAll(given: Given): Outcome {
  const faults = [...(given.file?.faults ?? [])];
  const choice = choosePools(given, faults);
  const values = new Map<PoolName, Values>();
  for (const pool of new Set([...choice.served, ...(given.file?.pools.keys() ?? []), choice.pool])) {
    const resolved = resolveSettings(given, pool);
    faults.push(...resolved.faults);
    if (resolved.values !== undefined) values.set(pool, resolved.values);
  }
  if (faults.length === 0) faults.push(...sharedSockets(choice, values));
  if (faults.length > 0) return { kind: "wrong", faults: inOrder(new Set(faults), given.file) };
  return { kind: "right", ...choice, values };
}

/** Those of the file by their lines, then all others. */
function inOrder(faults: ReadonlySet<string>, file: SettingsFile | undefined): readonly string[] {
  const lineOf = (fault: string): number => {
    const rest = file !== undefined && fault.startsWith(`${file.path}:`) ? fault.slice(file.path.length + 1) : "";
    return /^\d/.test(rest) ? Number.parseInt(rest, 10) : Number.MAX_SAFE_INTEGER;
  };
  return [...faults].sort((one, other) => lineOf(one) - lineOf(other));
}

function choosePools(given: Given, faults: string[]): PoolChoice {
  const { file, flags } = given;
  const inFile = [...(file?.pools.keys() ?? [])];
  const { text = "", source } = findText(given, schema.pool, poolName("default"));
  const [first] = inFile;
  if (source.kind === "default" && first !== undefined) return { pool: first, served: inFile };
  let pool: PoolName;
  try {
    pool = poolName(text);
  } catch (error) {
    faults.push(`${labelOf(schema.pool, source)}: ${error instanceof Error ? error.message : String(error)}`);
    pool = poolName("default");
  }
  if (source.kind === "file" && first !== undefined && !inFile.includes(pool)) {
    faults.push(
      `${labelOf(schema.pool, source)}: there is no table [pools.${pool}]: add it, or name one of ${inFile.join(", ")}`,
    );
  }
  // A flag chooses among the pools of the file; a variable only says which one commands mean.
  if (first === undefined || flags.SNAPMILL_POOL !== undefined) return { pool, served: [pool] };
  return { pool, served: inFile };
}

/** Two pools cannot serve containerd at one socket. */
function sharedSockets({ served }: PoolChoice, values: ReadonlyMap<PoolName, Values>): string[] {
  const owners = new Map<string, PoolName>();
  return served.flatMap((pool) => {
    const address = values.get(pool)?.grpcAddress;
    if (address === undefined || address === "") return [];
    const owner = owners.get(address);
    owners.set(address, owner ?? pool);
    return owner === undefined
      ? []
      : [
          `pools ${owner} and ${pool} have the same containerd socket ${address}: set grpc-address in each [pools.NAME]`,
        ];
  });
}
