// Room: cli. Owns `snapmill sign-in`: a link that signs a browser in to the pages of the `up` that runs here.
import type { Command } from "commander";
import { askForSignInLink } from "../../service/sign-in.ts";
import { formatTime } from "../output/format.ts";
import { notice, printJson, printLines } from "../output/output.ts";
import { configOf, examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addSignIn(program: Command): void {
  program
    .command("sign-in")
    .description(
      "print a link that signs a browser in once, within 10 minutes, to the pages of the 'snapmill up' that runs here",
    )
    .summary("print a link that signs a browser in, once")
    .addOption(jsonOption("one JSON object: address, link, endsAtMs"))
    .addHelpText(
      "after",
      "\nWhoever opens it sees and changes everything. It is for root, or the user that 'up' runs as.",
    )
    .addHelpText(
      "after",
      examples(
        ["sign-in", "where systemd runs it, and nobody sees what 'up' prints"],
        ["sign-in --json | jq -r .link", "for a script"],
      ),
    )
    .action(async ({ json }: JsonOption, command: Command) => {
      const found = await askForSignInLink(configOf(command));
      if (json) return await printJson(found);
      await printLines([found.link]);
      notice(`signs in once, until ${formatTime(found.endsAtMs)}; the pages are at ${found.address}`);
    });
}
