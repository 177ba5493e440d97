// Room: config. Owns what `snapmill config show` tells: each setting's value, and where it comes from; no passwords.
import type { PoolName } from "../domain/identifiers.ts";
import { resolveAll } from "./pools.ts";
import { findText, type Given, type Source, settings } from "./resolve.ts";

export interface ShownSetting {
  /** In the file, or the variable where the file cannot set it. */
  readonly name: string;
  /** As text; null: it is not set. */
  readonly value: string | null;
  /** "default", "FILE:12", "REDIS_URL in the environment", "a flag" */
  readonly from: string;
}

export interface ShownSettings {
  /** Null: there is none. */
  readonly file: string | null;
  readonly settings: readonly ShownSetting[];
  /** What pools can differ in, for each pool that `up` serves. */
  readonly pools: Readonly<Record<string, readonly ShownSetting[]>>;
}

export type Shown =
  | { readonly kind: "right"; readonly shown: ShownSettings }
  | { readonly kind: "wrong"; readonly faults: readonly string[] };

export function showSettings(given: Given): Shown {
  const outcome = resolveAll(given);
  if (outcome.kind === "wrong") return outcome;
  const { pool: chosen, served } = outcome;
  const listed = (pool: PoolName, wanted: "machine" | "pool"): ShownSetting[] =>
    settings.flatMap(([, setting]) => {
      const { variable, key, perPool, secret = (text: string) => text, help } = setting;
      if (help === undefined || (perPool === true ? "pool" : "machine") !== wanted) return [];
      const { text, source } = findText(given, setting, pool);
      const value = variable === "SNAPMILL_POOL" ? chosen : text;
      return [
        { name: key ?? variable, value: value === undefined ? null : secret(value), from: origin(source, setting) },
      ];
    });
  return {
    kind: "right",
    shown: {
      file: given.file?.path ?? null,
      settings: listed(chosen, "machine"),
      pools: Object.fromEntries(served.map((pool) => [pool, listed(pool, "pool")])),
    },
  };
}

function origin(source: Source, { variable, default: text, otherwise }: (typeof settings)[number][1]): string {
  switch (source.kind) {
    case "flag":
      return "a flag";
    case "environment":
      return `${variable} in the environment`;
    case "file":
      return `${source.path}:${source.line}`;
    case "default":
      return text === undefined && otherwise !== undefined ? `default: ${otherwise.replaceAll("`", "")}` : "default";
  }
}
