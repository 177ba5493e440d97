// Room: test. Owns the completions, asked of real shells as a user's Tab asks them.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { completionScript, type Shell } from "../../../src/cli/completion/scripts.ts";
import { allNodes, commandTree, flagsOf } from "../../../src/cli/completion/tree.ts";
import { buildProgram } from "../../../src/cli/program.ts";
import { childEnvironment } from "../../../src/config.ts";
import { temporaryDirectory } from "../../support/directories.ts";

const root = commandTree(await buildProgram("0.0.0"));

/** Types `words` into the shell, the last of them half-written, and answers with what it offers. */
type Ask = (script: string, words: readonly string[]) => readonly string[];

function output(argv: readonly string[]): readonly string[] {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { env: childEnvironment({}) });
  expect(stderr.toString()).toBe("");
  expect(exitCode).toBe(0);
  return stdout
    .toString()
    .split(/\r?\n/)
    .filter((line) => line !== "");
}

const askBash: Ask = (script, words) =>
  output([
    "bash",
    "--norc",
    "-uc",
    `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _snapmill; printf "%s\\n" "\${COMPREPLY[@]}"`,
    "bash",
    script,
    ...words,
  ]);

const askFish: Ask = (script, words) =>
  output(["fish", "--no-config", "-c", `source ${script}; complete -C ${JSON.stringify(words.join(" "))}`]).map(
    (line) => line.split("\t")[0] ?? "",
  );

/** Where the set-up unpacks a zsh that the machine lacks, with its modules. */
const tree = join(import.meta.dir, "../../../.tools/tree");

/** Loaded as at the first Tab. zsh's own functions, which would show on a terminal what they are given, print it. */
const askZsh: Ask = (script, words) =>
  output([
    "zsh",
    "-f",
    "-c",
    `module_path+=(${tree}/usr/lib/*/zsh/*(N))
_describe() { local -a given; given=("\${(@P)2}"); print -rl -- "\${(@)given%%:*}" }
_files() { print -r -- FILES }
fpath=(\${1:h}); autoload -Uz _snapmill; shift
words=("$@"); CURRENT=$#; _snapmill`,
    "zsh",
    script,
    ...words,
  ]).filter((offer) => offer.startsWith(words.at(-1) ?? ""));

const shells: readonly (readonly [Shell, Ask])[] = [
  ["bash", askBash],
  ["fish", askFish],
  ["zsh", askZsh],
];

describe.each(shells)("in %s", (shell, ask) => {
  async function offered(...words: readonly string[]): Promise<readonly string[]> {
    await using directory = await temporaryDirectory();
    const script = join(directory.path, "_snapmill");
    await Bun.write(script, completionScript(shell, root));
    return [...ask(script, ["snapmill", ...words])].toSorted();
  }

  test("the commands are offered, and those that begin as the word does", async () => {
    expect(await offered("")).toEqual(root.commands.map(({ name }) => name).toSorted());
    expect(await offered("sta")).toEqual(["stat", "status"]);
  });

  test("the commands below a command are offered, also after options and their values", async () => {
    const images = root.commands.find(({ name }) => name === "images")?.commands.map(({ name }) => name) ?? [];
    expect(images.length).toBeGreaterThan(2);
    expect(await offered("images", "")).toEqual(images.toSorted());
    expect(await offered("--state-dir", "images", "--pool", "a", "images", "")).toEqual(images.toSorted());
  });

  test("a command's options are offered, with those of the program", async () => {
    const rm = allNodes(root).find(({ path }) => path === "images rm");
    const long = rm === undefined ? [] : flagsOf(rm).filter((flag) => flag.startsWith("--"));
    expect(long).toContain("--state-dir");
    expect(await offered("images", "rm", "--")).toEqual(long.toSorted());
  });
});
