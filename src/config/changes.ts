// Room: config. Owns what differs between two readings of the configuration, and which of it a running `up` takes over.
import { settings } from "./resolve.ts";
import type { Name } from "./schema.ts";
import type { Reader } from "./setting.ts";

/** The settings of one pool. */
type Readings = Readonly<Record<Name, unknown>>;

export interface Change {
  readonly name: Name;
  /** For people: 'min-free: "10%" -> "15%"', without passwords. */
  readonly sentence: string;
  /** Whether pools can differ in it. */
  readonly isOfPool: boolean;
  /** Who reads it, if `up` takes it over; undefined: it needs a restart. */
  readonly readers: readonly Reader[] | undefined;
}

/** Both of the same pool. What is not in the documents does not count. */
export function changesBetween(before: Readings, after: Readings): readonly Change[] {
  return settings.flatMap(([name, setting]) => {
    const { key, variable, help, kind, secret = (text: string) => text } = setting;
    if (help === undefined || name === "configFile" || name === "pool") return [];
    const textOf = (value: unknown) => (value === undefined || value === null ? undefined : kind.format(value));
    const [was, is] = [textOf(before[name]), textOf(after[name])];
    if (was === is) return [];
    const shown = (text: string | undefined) => (text === undefined ? "not set" : JSON.stringify(secret(text)));
    const sentence = `${key ?? variable}: ${shown(was)} -> ${shown(is)}`;
    const isSwitch = setting.needsRestart !== undefined && (was === undefined || is === undefined);
    const readers = isSwitch ? undefined : setting.reloadable;
    return [{ name, sentence, isOfPool: setting.perPool === true, readers }];
  });
}

/** `before` with those of `changes` that can be taken over, as they are in `after`. */
export const takenOver = <Config extends Readings>(
  before: Config,
  after: Config,
  changes: readonly Change[],
): Config => ({
  ...before,
  ...Object.fromEntries(changes.flatMap(({ name, readers }) => (readers === undefined ? [] : [[name, after[name]]]))),
});
