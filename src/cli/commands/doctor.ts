// Room: cli. Owns `snapmill doctor`.
import type { Command } from "commander";
import type { Diagnosis } from "../../domain/findings.ts";
import { type PassedOver, passedOverWords } from "../../domain/repair-choice.ts";
import { plural } from "../output/format.ts";
import { bold, printJson, printLines } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { AlreadySaid } from "../support/failures.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("compare database, active devices and pool; report what is wrong, and repair it where that is safe")
    .summary("report what is wrong, and repair it")
    .option("--repair", "repair what can be repaired safely, and report what is left")
    .option("--only <id...>", "with --repair: only the findings with these IDs, which a look shows")
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", howItLooks)
    .addHelpText(
      "after",
      examples(
        ["doctor", "report; the exit status is 1 if something is wrong"],
        ["doctor --repair", "repair; the exit status is 1 if something is left"],
        ["doctor --repair --only 3f9a1c07b2de", "repair one of what was reported"],
        ["doctor --json | jq '.findings[] | select(.repaired | not)'", "for a monitor"],
      ),
    )
    .action(async (options: DoctorOptions, command: Command) => {
      await using pool = await openPool(command);
      const { stateDir, poolDir } = await pool.place();
      using interruption = catchInterruption();
      const request = { repair: options.repair === true, only: options.only };
      const { findings, passedOver } = await pool.doctor(request, interruption);
      if (options.json) await printJson({ stateDir, pool: pool.name, findings, passedOver });
      else await printLines([...passedOver.map(inWords), ...report(pool.name, poolDir, findings)]);
      if (findings.some(({ repaired }) => !repaired)) throw new AlreadySaid();
    });
}

interface DoctorOptions extends JsonOption {
  readonly repair?: true;
  readonly only?: string[];
}

const inWords = ({ id, why }: PassedOver): string => `finding ${id} ${passedOverWords[why]}`;

const howItLooks = `
While a snapmill runs, its worker checks the pool between two operations. Otherwise doctor attaches the pool itself, as
'snapmill up' does; without --repair, it leaves the pool as it was.`;

function report(pool: string, poolDir: string, findings: readonly Diagnosis[]): string[] {
  if (findings.length === 0) return [`pool ${pool} in ${poolDir} is in order`];
  const left = findings.filter(({ repaired }) => !repaired).length;
  const repairedCount = findings.length - left;
  return [
    bold(`${plural(findings.length, "thing")} not in order in pool ${pool}`),
    ...findings.flatMap(({ id, sentence, wayOut, repairable, repaired }) => {
      if (repaired) return [sentence, "  repaired"];
      return [sentence, `  ${wayOut}`, ...(repairable ? [`  alone: --repair --only ${id}`] : [])];
    }),
    ...(repairedCount > 0 ? [`${repairedCount} repaired, ${left} left`] : []),
  ];
}
