// Room: config. Owns what a file of settings says: the text that it gives each setting, of the machine and of its pools, and what
// is wrong with it.
import { type PoolName, poolName } from "../domain/identifiers.ts";
import { quotedUnlessPlain } from "../domain/quoted.ts";
import { type Entry, readToml } from "./document.ts";
import { howToWrite, textOf } from "./file-values.ts";
import { settings } from "./resolve.ts";
import { nearest } from "./suggestions.ts";

/** A value in the file, as the text that a variable would have. */
export interface FileText {
  readonly text: string;
  readonly line: number;
  readonly key: string;
}

export interface SettingsFile {
  /** Absolute. */
  readonly path: string;
  /** By key: for the whole machine, and for pools that do not set it themselves. */
  readonly top: ReadonlyMap<string, FileText>;
  /** In the order of the file. */
  readonly pools: ReadonlyMap<PoolName, ReadonlyMap<string, FileText>>;
  /** What is wrong with it, a sentence each, with the path and the line. */
  readonly faults: readonly string[];
}

/** What the file at `path` says, whose content is `text`. */
export const settingsIn = (path: string, text: string): SettingsFile => new Reading(path).read(text);

/** Of a file that says nothing, since it cannot be read. */
export const broken = (path: string, fault: string): SettingsFile => ({
  path,
  top: new Map(),
  pools: new Map(),
  faults: [fault],
});

const known = new Map(settings.flatMap(([, setting]) => (setting.key === undefined ? [] : [[setting.key, setting]])));
const keysOf = (where: "top" | "pool"): string[] =>
  [...known].filter(([, { perPool }]) => where === "top" || perPool === true).map(([key]) => key);
/** `http` of `http.address`: the tables that group settings. */
const groups = new Set([...known.keys()].flatMap((key) => (key.includes(".") ? [key.replace(/\.[^.]*$/, "")] : [])));

/** One reading of a file: collects what is in it, and what is wrong with it. */
class Reading {
  readonly #path: string;
  readonly #top = new Map<string, FileText>();
  readonly #pools = new Map<PoolName, Map<string, FileText>>();
  readonly #faults: string[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  read(text: string): SettingsFile {
    const document = readToml(text);
    if (document.kind === "broken") {
      const { line, column, message } = document.fault;
      return broken(this.#path, `${this.#path}:${line}:${column}: ${message}`);
    }
    for (const table of document.tables) this.#enter(table);
    for (const entry of document.values) this.#take(entry);
    return { path: this.#path, top: this.#top, pools: this.#pools, faults: this.#faults };
  }

  #enter({ path, line, isRepeated }: Entry): void {
    const [first = "", name, ...rest] = path;
    if (isRepeated) {
      const written = shown(path.slice(0, -1).join("."));
      this.#fault(line, `[[${written}]]: write a table in single brackets, [${written}], and only once`);
    } else if (first === "pools") {
      if (name !== undefined && this.#pool(name, line) !== undefined && rest.length > 0) this.#group(rest, line);
    } else this.#group(path, line);
  }

  #group(path: readonly string[], line: number): void {
    const key = path.join(".");
    if (groups.has(key)) return;
    this.#fault(line, `[${shown(key)}]: there is no such table${meant(key, ["pools.NAME", ...groups], ["[", "]"])}`);
  }

  #pool(name: string, line: number): Map<string, FileText> | undefined {
    try {
      const pool = poolName(name);
      const found = this.#pools.get(pool) ?? new Map<string, FileText>();
      this.#pools.set(pool, found);
      return found;
    } catch (error) {
      this.#fault(line, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #take({ path, value, line }: Entry): void {
    const [first, name = "", ...rest] = path;
    if (first !== "pools") {
      this.#set(this.#top, "top", path.join("."), value, line);
    } else if (rest.length === 0) {
      this.#fault(line, `${shown(path.join("."))}: give each pool a table, [pools.NAME]`);
    } else {
      const pool = this.#pool(name, line);
      if (pool !== undefined) this.#set(pool, "pool", rest.join("."), value, line);
    }
  }

  #set(into: Map<string, FileText>, where: "top" | "pool", key: string, value: unknown, line: number): void {
    const setting = known.get(key);
    if (setting === undefined) {
      if (this.#isInUnknownTable(key)) return;
      this.#fault(line, `${shown(key)}: there is no such setting${meantSetting(key, where)}`);
    } else if (where === "pool" && setting.perPool !== true) {
      this.#fault(line, `${key}: is for the whole machine: move it above the first table of the file`);
    } else {
      const text = textOf(value, setting.kind.form);
      if (text === undefined)
        this.#fault(line, `${key}: must be ${setting.kind.describes}, ${howToWrite(setting.kind.form)}`);
      else into.set(key, { text, line, key });
    }
  }

  /** Its table was already told to be unknown. */
  #isInUnknownTable(key: string): boolean {
    const table = key.includes(".") ? key.replace(/\.[^.]*$/, "") : "";
    return this.#faults.some((fault) => table !== "" && fault.includes(`: [${shown(table)}]: `));
  }

  #fault(line: number, message: string): void {
    this.#faults.push(`${this.#path}:${line}: ${message}`);
  }
}

const shown = (key: string): string => quotedUnlessPlain(key);

const meant = (key: string, candidates: readonly string[], [left, right] = ["", ""]): string => {
  const found = nearest(key, candidates);
  if (found !== undefined) return `: did you mean ${left}${found}${right}?`;
  return `: there are ${candidates.map((candidate) => `${left}${candidate}${right}`).join(", ")}`;
};

function meantSetting(key: string, where: "top" | "pool"): string {
  const last = key.replace(/^.*\./, "");
  if (last !== key && known.has(last)) return `: ${last} belongs above the first table of the file`;
  const asVariable = `SNAPMILL_${key.toUpperCase().replaceAll(/[-.]/g, "_")}`.replace(
    "SNAPMILL_SNAPMILL_",
    "SNAPMILL_",
  );
  const ofVariable = settings.find(
    ([, { variable, key: own }]) => own !== undefined && [asVariable, key].includes(variable),
  );
  if (ofVariable?.[1].key !== undefined) return `: did you mean ${ofVariable[1].key}?`;
  const found = nearest(key, keysOf(where));
  return found === undefined ? ": 'snapmill config default' shows all" : `: did you mean ${found}?`;
}
