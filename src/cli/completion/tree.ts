// Room: cli. Owns what completions and man pages read of the command tree.
import type { Command, Option } from "commander";

export interface OptionNode {
  /** "-l", "--label": as they are typed. */
  readonly flags: readonly string[];
  readonly summary: string;
  readonly takesValue: boolean;
}

export interface CommandNode {
  /** "images rm"; empty: the program itself. */
  readonly path: string;
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

const optionNode = (option: Option): OptionNode => ({
  flags: [option.short, option.long].filter((flag) => flag !== undefined),
  summary: oneLine(option.description),
  takesValue: option.required || option.optional,
});

/** The tree below `command`; the options of the commands above it are its own, too. */
export function commandTree(command: Command, above: readonly string[] = [], inherited: readonly OptionNode[] = []) {
  const own = command.createHelp().visibleOptions(command).map(optionNode);
  const options = [
    ...own,
    ...inherited.filter(({ flags }) => !own.some((mine) => mine.flags.some((flag) => flags.includes(flag)))),
  ];
  const node: CommandNode = {
    path: above.join(" "),
    name: command.name(),
    summary: oneLine(command.summary() || command.description()),
    options,
    commands: command
      .createHelp()
      .visibleCommands(command)
      .map((each): CommandNode => commandTree(each, [...above, each.name()], options)),
  };
  return node;
}

/** A node and all nodes below it. */
export const allNodes = (node: CommandNode): readonly CommandNode[] => [node, ...node.commands.flatMap(allNodes)];

/** Of all commands: the flags whose value is the next word. */
export const flagsWithValues = (root: CommandNode): readonly string[] => [
  ...new Set(
    allNodes(root).flatMap(({ options }) => options.filter((each) => each.takesValue).flatMap((each) => each.flags)),
  ),
];

export const flagsOf = ({ options }: CommandNode): readonly string[] => options.flatMap(({ flags }) => flags);
