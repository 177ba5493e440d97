// Room: cli. Owns `snapmill config`: a file of all defaults, the check of a file, and where each setting comes from.
import type { Command } from "commander";
import { defaultFile } from "../../config/example.ts";
import { defaultConfigFile } from "../../config/settings-file.ts";
import { type ShownSetting, type ShownSettings, showSettings } from "../../config/show.ts";
import { givenSettings } from "../../config.ts";
import { poolsText } from "../../domain/running.ts";
import { formatTable } from "../output/format.ts";
import { bold, printJson, printLines, say, write } from "../output/output.ts";
import { AlreadySaid } from "../support/failures.ts";
import { examples, flagsOf, type JsonOption, jsonOption } from "../support/options.ts";

export function addConfig(program: Command): void {
  const config = program.command("config").description("show, check and begin the file of settings").helpCommand(false);
  addDefault(config);
  addCheck(config);
  addShow(config);
}

const addDefault = (config: Command): Command =>
  config
    .command("default")
    .description("print a file of settings in which everything has its default")
    .addHelpText("after", examples(["config default > config.toml", "a file to begin with"]))
    .action(async () => await write(defaultFile()));

const addCheck = (config: Command): Command =>
  config
    .command("check")
    .description("say everything that is wrong with the settings; the exit status is 1 if something is")
    .argument("[file]", `the file (default: --config, SNAPMILL_CONFIG or ${defaultConfigFile})`)
    .addHelpText("after", examples(["config check new.toml", "before it takes the old one's place"]))
    .action(async (file: string | undefined, _options: object, command: Command) => {
      const shown = settingsOf(command, file);
      await printLines([
        `${shown.file ?? "without a file, the settings"} in order: ${poolsText(Object.keys(shown.pools))}`,
      ]);
    });

const addShow = (config: Command): Command =>
  config
    .command("show")
    .description("show each setting's value and where it comes from, without passwords")
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", examples(["config show", "what holds here"]))
    .action(async (options: JsonOption, command: Command) => {
      const shown = settingsOf(command, undefined);
      if (options.json) await printJson(shown);
      else await printLines(asLines(shown));
    });

/** Says each fault in a line of its own. */
function settingsOf(command: Command, file: string | undefined): ShownSettings {
  const [flags = {}] = flagsOf(command, file === undefined ? {} : { SNAPMILL_CONFIG: file });
  const outcome = showSettings(givenSettings(flags));
  if (outcome.kind === "right") return outcome.shown;
  for (const fault of outcome.faults) say(`snapmill: ${fault}`);
  throw new AlreadySaid();
}

function asLines({ settings, pools }: ShownSettings): string[] {
  const rowsOf = (ofOne: readonly ShownSetting[]) => ofOne.map(({ name, value, from }) => [name, value ?? "", from]);
  const columns = ["SETTING", "VALUE", "FROM"].map((title) => ({ title }));
  const [titles = "", ...rows] = formatTable(columns, rowsOf(settings));
  const ofPools = Object.entries(pools).flatMap(([pool, ofIt]) => {
    const [, ...lines] = formatTable(columns, rowsOf(ofIt));
    return ["", bold(`pool ${pool}`), ...lines];
  });
  return [bold(titles), ...rows, ...ofPools];
}
