// Room: config. Owns the values of all settings, from the texts that are given for them.
import { type Name, schema, type Values, type Variable } from "./schema.ts";
import type { Setting } from "./setting.ts";

export interface Resolved {
  /** Undefined: there are faults. */
  readonly values: Values | undefined;
  /** What is wrong, a sentence each. */
  readonly faults: readonly string[];
}

/** All settings, as they are used where their values do not matter. */
export const settings = Object.entries(schema) as unknown as readonly (readonly [Name, Setting<unknown, Variable>])[];

/** `given`: the text for a variable; undefined: it is not set. */
export function resolveSettings(given: (variable: Variable) => string | undefined): Resolved {
  const found: Partial<Record<Name, unknown>> = {};
  const faults: string[] = [];
  for (const [name, setting] of settings) {
    const text = given(setting.variable) ?? setting.default;
    try {
      found[name] = text === undefined ? undefined : setting.kind.parse(text);
    } catch (error) {
      faults.push(`${setting.variable}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const values = found as Values;
  if (faults.length === 0) faults.push(...contradictions(values));
  return { values: faults.length === 0 ? values : undefined, faults };
}

const contradictions = ({ deviceSizeBytes, maxDeviceSizeBytes }: Values): string[] =>
  deviceSizeBytes > maxDeviceSizeBytes
    ? ["SNAPMILL_DEVICE_SIZE: more than SNAPMILL_MAX_DEVICE_SIZE (1TiB by default)"]
    : [];

/** The texts of which `values` are made again, by variable. */
export const textsOf = (values: Values): Record<Variable, string | undefined> =>
  Object.fromEntries(
    settings.map(([name, { variable, kind }]) => {
      const value = values[name];
      return [variable, value === undefined ? undefined : kind.format(value)];
    }),
  ) as Record<Variable, string | undefined>;
