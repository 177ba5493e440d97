// Room: cli. Owns `snapmill completion`: prints the script by which a shell completes snapmill's commands and options.
import { Argument, type Command } from "commander";
import { completionScript, type Shell, shells } from "../completion/scripts.ts";
import { commandTree } from "../completion/tree.ts";
import { write } from "../output/output.ts";
import { examples } from "../support/options.ts";

export function addCompletion(program: Command): void {
  program
    .command("completion")
    .description("print the completion script of a shell")
    .addArgument(new Argument("<shell>", "the shell").choices(shells))
    .addHelpText(
      "after",
      examples(
        ["completion bash > /etc/bash_completion.d/snapmill", "for every user of bash"],
        ["completion zsh > ~/.zfunc/_snapmill", "in a directory of $fpath"],
        ["completion fish | source", "for this session of fish"],
      ),
    )
    .action(async (shell: Shell) => await write(completionScript(shell, commandTree(program))));
}
