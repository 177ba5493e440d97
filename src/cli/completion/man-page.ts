// Room: cli. Owns the man pages: one for each command, in roff, made from its help.
import type { Command } from "commander";

/** What roff would read as its own: a backslash anywhere, a dot or an apostrophe at the begin of a line. */
const escaped = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");

/** As it stands, with its lines and columns. */
const verbatim = (text: string): string => `.nf\n${escaped(text)}\n.fi`;

const section = (title: string, ...body: readonly string[]): string[] =>
  body.length === 0 ? [] : [`.SH ${title}`, ...body];

const entry = (term: string, description: string): string[] => [
  ".TP",
  `\\fB${escaped(term)}\\fR`,
  escaped(description),
];

/** What the help says after its lists: notes and examples. */
function notesOf(command: Command): string {
  let help = "";
  command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => 80 }).outputHelp();
  return help.slice(help.indexOf(command.helpInformation()) + command.helpInformation().length).trim();
}

export interface ManPage {
  /** snapmill-images-rm.1 */
  readonly file: string;
  readonly text: string;
}

/** `date`: of the release, 2026-11-29. */
interface Release {
  readonly version: string;
  readonly date: string;
}

function manPage(command: Command, words: readonly string[], { version, date }: Release): ManPage {
  const help = command.createHelp();
  const name = words.join("-");
  const notes = notesOf(command);
  const commands = help.visibleCommands(command);
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
  const lines = [
    `.TH ${name.toUpperCase()} 1 "${date}" "snapmill ${version}" "User Commands"`,
    ...section("NAME", `${escaped(name)} \\- ${escaped(command.summary() || command.description())}`),
    ...section(
      "SYNOPSIS",
      `\\fB${escaped(words.slice(0, -1).concat(command.name()).join(" "))}\\fR ${escaped(command.usage())}`,
    ),
    ...section("DESCRIPTION", escaped(help.commandDescription(command))),
    ...section(
      "COMMANDS",
      ...commands.flatMap((each) => entry(help.subcommandTerm(each), help.subcommandDescription(each))),
    ),
    ...section(
      "ARGUMENTS",
      ...help
        .visibleArguments(command)
        .flatMap((each) => entry(help.argumentTerm(each), help.argumentDescription(each))),
    ),
    ...section("OPTIONS", ...options.flatMap((each) => entry(help.optionTerm(each), help.optionDescription(each)))),
    ...section("NOTES", ...(notes === "" ? [] : [verbatim(notes)])),
    ...section("SEE ALSO", ...seeAlso(words, commands)),
  ];
  return { file: `${name}.1`, text: `${lines.join("\n")}\n` };
}

/** The page above, and those of the commands below. */
function seeAlso(words: readonly string[], below: readonly Command[]): string[] {
  const above = words.length === 1 ? [] : [words.slice(0, -1)];
  const pages = [...above, ...below.map((each) => [...words, each.name()])];
  const names = pages.map((page) => `\\fB${escaped(page.join("-"))}\\fR(1)`);
  return names.length === 0 ? [] : [names.join(", ")];
}

/** The pages of `command` and all commands below it. */
export function manPages(command: Command, release: Release, above: readonly string[] = []): readonly ManPage[] {
  const words = [...above, command.name()];
  const below = command.createHelp().visibleCommands(command);
  return [manPage(command, words, release), ...below.flatMap((each) => manPages(each, release, words))];
}
