// Room: config. Owns what is known about one setting.
import type { Kind } from "./kinds.ts";

/** The processes of an `up`: itself, and the workers of a pool. */
export type Reader = "up" | "pool" | "unpack" | "grpc";

interface About<Value, Variable extends string> {
  /** The environment variable. */
  readonly variable: Variable;
  /** Its place in a file, "http.address"; undefined: it cannot be set by a file. */
  readonly key?: string;
  /** The flag of `snapmill` or `snapmill up`. */
  readonly flag?: string;
  readonly kind: Kind<Value>;
  /** Whether pools can differ in it: then `[pools.NAME]` takes precedence over the top of the file. */
  readonly perPool?: true;
  /** Who reads it, if a running `up` takes over a new value; otherwise that needs a restart. */
  readonly reloadable?: readonly Reader[];
  /** Why a running `up` does not take it over where it was not set before, or is not set any more. */
  readonly needsRestart?: "to be set or unset";
  /** What may be shown of a value that can contain a password. Default: all of it. */
  readonly secret?: (text: string) => string;
  /** One sentence for users; Markdown. Undefined: it is for tests, or for `up` itself, and not in the documents. */
  readonly help?: string;
}

interface WithDefault {
  /** As text, of which the kind makes the value. */
  readonly default: string;
}

interface WithoutDefault {
  /** What holds where it is not set, in words. */
  readonly otherwise: string;
}

export type Setting<Value, Variable extends string = string> = About<NonNullable<Value>, Variable> & {
  readonly default: string | undefined;
  readonly otherwise: string | undefined;
  /** For the type alone: it is never there. */
  readonly type?: () => Value;
};

export function setting<Value, Variable extends string>(
  about: About<Value, Variable> & WithDefault,
): Setting<Value, Variable>;
export function setting<Value, Variable extends string>(
  about: About<Value, Variable> & WithoutDefault,
): Setting<Value | undefined, Variable>;
export function setting<Value, Variable extends string>(
  about: About<NonNullable<Value>, Variable> & Partial<WithDefault & WithoutDefault>,
): Setting<Value, Variable> {
  return { ...about, default: about.default, otherwise: about.otherwise };
}
