// Room: config. Owns the settings as documents show them: a file with all defaults, and the table of the README.

import type { Form } from "./kinds.ts";
import { settings } from "./resolve.ts";

type AnySetting = (typeof settings)[number][1];

const plain = (help: string): string => help.replaceAll("`", "");

/** `text`, as it stands in a file. */
function written(text: string, { kind }: AnySetting): string {
  const form: Form = kind.form;
  switch (form.as) {
    case "integer":
    case "boolean":
      return text;
    case "string":
      return JSON.stringify(text);
    case "list":
      return JSON.stringify(kind.parse(text));
  }
}

/** The pool that is meant: with tables of pools, its default is the first of them. */
const isChoice = ({ variable }: AnySetting): boolean => variable === "SNAPMILL_POOL";

function linesOf(setting: AnySetting): string[] {
  const { key = "", help = "", variable, flag, reloadable } = setting;
  const names = [variable, ...(flag === undefined ? [] : [flag]), ...(reloadable === undefined ? [] : ["SIGHUP"])].join(
    ", ",
  );
  const name = key.replace(/^.*\./, "");
  const line =
    setting.default === undefined
      ? `# ${name} = ... (default: ${plain(setting.otherwise ?? "none")})`
      : `${isChoice(setting) ? "# " : ""}${name} = ${written(setting.default, setting)}`;
  return ["", `# ${plain(help)} (${names})`, line];
}

/** A file of settings in which everything is as it is without one. */
export function defaultFile(): string {
  const inFile = settings.flatMap(([, setting]) => (setting.key === undefined ? [] : [setting]));
  const groupOf = ({ key = "" }: AnySetting): string => (key.includes(".") ? key.replace(/\.[^.]*$/, "") : "");
  const byGroup = Map.groupBy(inFile, groupOf);
  const top = (byGroup.get("") ?? []).flatMap(linesOf);
  byGroup.delete("");
  const tables = [...byGroup].flatMap(([group, ofIt]) => ["", `[${group}]`, ...ofIt.flatMap(linesOf)]);
  const ofPools = inFile.flatMap(({ key, perPool }) => (perPool === true && key !== undefined ? [key] : []));
  return [
    "# The settings of snapmill. Flags and the environment take precedence; 'snapmill config check' checks this file.",
    "# A running 'snapmill up' takes over those with SIGHUP when it is sent that signal; the others need a restart.",
    ...top,
    ...tables,
    "",
    "# Several pools in one 'snapmill up': a table for each. What it does not set is as above. It may set",
    `# ${ofPools.join(", ")}.`,
    "# [pools.fast]",
    '# driver = "devmapper"',
    "",
  ].join("\n");
}

const cell = (text: string | undefined): string => (text === undefined || text === "" ? "" : `\`${text}\``);

/** The table of all settings in the README. */
export function settingsTable(): string[] {
  const rows = settings.flatMap(([, setting]) => {
    const { variable, key, flag, help, reloadable } = setting;
    if (help === undefined) return [];
    const usual = setting.default === undefined ? (setting.otherwise ?? "") : cell(setting.default);
    return [[cell(variable), cell(key), cell(flag), usual, reloadable === undefined ? "" : "yes", help]];
  });
  const titles = ["Variable", "In the file", "Flag", "Default", "SIGHUP", "Meaning"];
  const line = (cells: readonly string[]): string =>
    `|${cells.map((each) => (each === "" ? " |" : ` ${each} |`)).join("")}`;
  return [line(titles), `|${"---|".repeat(titles.length)}`, ...rows.map(line)];
}
