// Room: cli. Owns `snapmill token`: create, ls, revoke.
import { type Command, Option } from "commander";
import { type Role, roles, tokenName } from "../../domain/callers.ts";
import { parseDuration } from "../../domain/units.ts";
import { createToken, type ListedToken, listTokens, revokeToken } from "../../service/tokens.ts";
import { formatTime } from "../output/format.ts";
import { type Listing, notice, printJson, printLines, printList } from "../output/output.ts";
import { accept, configOf, examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addToken(program: Command): void {
  const token = program
    .command("token")
    .helpCommand(false)
    .description("tokens for the HTTP API: make, list and revoke them, on the host of the pool")
    .summary("make, list and revoke tokens for the HTTP API");
  addCreate(token);
  addLs(token);
  addRevoke(token);
}

interface CreateOptions extends JsonOption {
  readonly role: Role;
  readonly expires?: number;
}

function addCreate(token: Command): void {
  token
    .command("create")
    .description("make a token and print it, this once: only its hash is kept")
    .argument("<name>", "its name, as the audit log shows it", accept(tokenName))
    .addOption(
      new Option("--role <role>", "read: look only; operate: change, too").choices(roles).makeOptionMandatory(),
    )
    .option(
      "--expires <time>",
      "no longer valid after this time: 90d, 12h (default: it does not expire)",
      accept(parseDuration),
    )
    .addOption(jsonOption("one JSON object, the token in it"))
    .addHelpText(
      "after",
      examples(
        ["token create monitoring --role read", "for a program that only reads"],
        ["token create ci --role operate --expires 90d > ci.token", "into a file; make it 0600"],
      ),
    )
    .action(async (name: string, { role, expires, json }: CreateOptions, command: Command) => {
      const made = await createToken(configOf(command), { name, role, expiresInMs: expires }, notice);
      if (json) return await printJson(made);
      await printLines([made.token]);
      notice(`this is the token ${name}, role ${role}; it is not shown again`);
    });
}

function addLs(token: Command): void {
  token
    .command("ls")
    .description("list the tokens: names, roles, times; never a token")
    .summary("list the tokens")
    .addOption(jsonOption("one JSON object per token"))
    .addHelpText(
      "after",
      "\nThe token named dashboard is the dashboard's password, which 'snapmill up' makes by itself.",
    )
    .action(async (options: JsonOption, command: Command) => {
      await printList(listTokens(configOf(command)), tokenListing, options);
    });
}

const tokenListing: Listing<ListedToken> = {
  columns: [{ title: "NAME" }, { title: "ROLE" }, { title: "CREATED" }, { title: "EXPIRES" }],
  row: ({ name, role, createdAtMs, expiresAtMs, isExpired }) => [
    name,
    role,
    createdAtMs === null ? "-" : formatTime(createdAtMs),
    expiresAtMs === null ? "never" : `${formatTime(expiresAtMs)}${isExpired ? " (expired)" : ""}`,
  ],
  json: (each) => each,
};

function addRevoke(token: Command): void {
  token
    .command("revoke")
    .description("make a token invalid at once; 'dashboard' is replaced by a new one, in the same file")
    .summary("make a token invalid at once")
    .argument("<name>", "its name, as 'snapmill token ls' shows it")
    .addHelpText("after", examples(["token revoke ci", "no restart is needed"]))
    .action(async (name: string, _options: object, command: Command) => {
      const done = await revokeToken(configOf(command), name);
      await printLines([`${done} ${name}`]);
    });
}
