// Room: cli. Owns the completion scripts of bash, zsh and fish: static texts, made from the command tree.
import { allNodes, type CommandNode, flagsOf, flagsWithValues } from "./tree.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** In single quotes, for each of the shells. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const cases = (root: CommandNode, of: (node: CommandNode) => string): string =>
  allNodes(root)
    .map((node) => `    ${quoted(node.path)}) ${of(node)} ;;`)
    .join("\n");

/** The part that bash and zsh share: `at` becomes the command that the words before the current one name. */
const findCommand = (root: CommandNode, words: string): string => `
  local word at='' skip='' known=''
  for word in ${words}; do
    if [[ -n $skip ]]; then skip=''; continue; fi
    case $word in
      ${flagsWithValues(root).join("|")}) skip=yes; continue ;;
      -*) continue ;;
    esac
    case $at in
${cases(root, ({ commands }) => `known=${quoted(` ${commands.map(({ name }) => name).join(" ")} `)}`)}
    esac
    if [[ $known == *" $word "* ]]; then at="\${at:+$at }$word"; fi
  done`;

/** Each of them is a list of words. */
const wordsFor = (node: CommandNode): string =>
  `commands=${quoted(node.commands.map(({ name }) => name).join(" "))} options=${quoted(flagsOf(node).join(" "))}`;

const bash = (
  root: CommandNode,
): string => `# Completion of snapmill in bash: source this, or have it where bash-completion looks.
_snapmill() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} commands='' options=''
  COMPREPLY=()${findCommand(root, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  case $previous in ${flagsWithValues(root).join("|")}) compopt -o default 2>/dev/null; return 0 ;; esac
  case $at in
${cases(root, wordsFor)}
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [[ -n $commands ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$current"))
  else
    compopt -o default 2>/dev/null
  fi
  return 0
}
complete -F _snapmill snapmill
`;

/** \`name:what it does\`, as _describe takes them. */
const described = (name: string, summary: string): string => quoted(`${name.replaceAll(":", "\\:")}:${summary}`);

/** Each of them is an array of such. */
const descriptionsFor = ({ commands, options }: CommandNode): string => {
  const flags = options.flatMap((option) => option.flags.map((flag) => described(flag, option.summary)));
  return `commands=(${commands.map(({ name, summary }) => described(name, summary)).join(" ")}) options=(${flags.join(" ")})`;
};

const zsh = (root: CommandNode): string => `#compdef snapmill
# Completion of snapmill in zsh: have this, as _snapmill, in a directory of $fpath.
_snapmill() {
  local -a commands options${findCommand(root, `"\${(@)words[2,CURRENT-1]}"`)}
  case $words[CURRENT-1] in ${flagsWithValues(root).join("|")}) _files; return ;; esac
  case $at in
${cases(root, descriptionsFor)}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    _describe option options
  elif (( $#commands > 0 )); then
    _describe command commands
  else
    _files
  fi
}
# Sourced, or loaded by zsh at the first Tab: then this file is the function's body.
if [[ $funcstack[1] == _snapmill ]]; then _snapmill "$@"; else compdef _snapmill snapmill; fi
`;

const quotedForFish = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** The lines for one command: what may follow it. */
function fishLines({ path, commands, options }: CommandNode): string[] {
  const complete = `complete -c snapmill -n ${quotedForFish(`__snapmill_at ${JSON.stringify(path)}`)}`;
  const named = commands.map(({ name, summary }) => `${complete} -f -a ${name} -d ${quotedForFish(summary)}`);
  const given = options.map(({ flags, summary, takesValue }) => {
    const spelled = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
    return `${complete} ${spelled.join(" ")}${takesValue ? " -r" : ""} -d ${quotedForFish(summary)}`;
  });
  return [...named, ...given];
}

const fish = (
  root: CommandNode,
): string => `# Completion of snapmill in fish: source this, or have it where fish looks (vendor_completions.d).
function __snapmill_at --description 'whether the words before the cursor name this command of snapmill'
  set -l path
  set -l skip no
  for word in (commandline -opc)[2..-1]
    if test $skip = yes
      set skip no
      continue
    end
    if contains -- $word ${flagsWithValues(root).join(" ")}
      set skip yes
      continue
    end
    if string match -q -- '-*' $word
      continue
    end
    if contains -- (string join ' ' $path $word) ${allNodes(root)
      .flatMap(({ path }) => (path === "" ? [] : [quotedForFish(path)]))
      .join(" ")}
      set path $path $word
    end
  end
  set -l joined (string join ' ' $path)
  test "$joined" = "$argv[1]"
end
${allNodes(root).flatMap(fishLines).join("\n")}
`;

const scripts = { bash, zsh, fish } satisfies Record<Shell, (root: CommandNode) => string>;

export const completionScript = (shell: Shell, root: CommandNode): string => scripts[shell](root);
