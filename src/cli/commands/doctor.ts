// Room: cli. Owns `snapmill doctor`.
import type { Command } from "commander";
import { type Config, paths } from "../../config.ts";
import type { Diagnosis } from "../../domain/findings.ts";
import { quoted } from "../../domain/quoted.ts";
import type { FailedRemoval } from "../../jobs/outbox/device-removals.ts";
import type { JobClient } from "../../jobs/requests/client.ts";
import type { DamagedJob } from "../../jobs/requests/failed-jobs.ts";
import { pendingRemovals } from "../../metadata/pending-removals.ts";
import { takePoolTurn } from "../../service/pool-turn.ts";
import { readStore } from "../../service/store.ts";
import { plural } from "../output/format.ts";
import { bold, notice, printJson, printLines } from "../output/output.ts";
import { AlreadySaid } from "../support/failures.ts";
import { catchInterruption } from "../support/interruption.ts";
import { configOf, examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description(
      "compare database, active devices and pool; say what is not in order, and repair what is safe to repair",
    )
    .summary("say what is not in order, and repair it")
    .option("--repair", "repair what can be repaired safely; says what is left, and why")
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", howItLooks)
    .addHelpText(
      "after",
      examples(
        ["doctor", "look; exits with 1 if something is not in order"],
        ["doctor --repair", "repair; exits with 1 if something is left"],
        ["doctor --json | jq '.findings[] | select(.repaired | not)'", "for a monitor"],
      ),
    )
    .action(async (options: DoctorOptions, command: Command) => {
      const config = configOf(command);
      readStore(config, () => undefined);
      const findings = await diagnose(config, options.repair === true);
      if (options.json) await printJson({ stateDir: config.stateDir, pool: config.pool, findings });
      else await printLines(report(config, findings));
      if (findings.some(({ repaired }) => !repaired)) throw new AlreadySaid();
    });
}

interface DoctorOptions extends JsonOption {
  readonly repair?: true;
}

const howItLooks = `
While a snapmill runs, its worker looks, between two operations. Where none runs, doctor has the pool to itself: it
attaches it to look inside, as a start does, and without --repair leaves it as it was.`;

const diagnose = (config: Config, repair: boolean): Promise<readonly Diagnosis[]> =>
  takePoolTurn(config, notice, {
    byWorker: (client) => askWorker(config, client, repair),
    byProcess: async () => {
      const { examineStopped } = await import("../../supervisor/stopped-pool.ts");
      using interruption = catchInterruption();
      return await examineStopped(config, repair, interruption.signal);
    },
  });

/** A look at thousands of devices, each of which may have to be removed. */
const deadlineMs = 30 * 60_000;

async function askWorker(config: Config, client: JobClient, repair: boolean): Promise<readonly Diagnosis[]> {
  const given = await client.failedRemovals();
  const damaged = await client.damagedJobs();
  const { findings } = await client.call("doctor", { repair }, { deadlineMs });
  const pending = new Set(readStore(config, pendingRemovals).map(({ device }) => device));
  const failed = new Set<string>(given.map(({ device }) => device));
  return [
    // One that was given up is told as that.
    ...findings.filter(({ kind, subject }) => kind !== "removal-pending" || !failed.has(subject)),
    ...given
      .filter(({ device }) => repair || pending.has(device))
      .map((removal) => givenUp(removal, !pending.has(removal.device))),
    ...damaged.map(damagedJob),
  ];
}

const givenUp = ({ device, reason, failedAtMs }: FailedRemoval, repaired: boolean): Diagnosis => ({
  kind: "removal-given-up",
  subject: device,
  sentence: `the removal of device ${device} was given up on ${new Date(failedAtMs).toISOString()}: ${reason}`,
  wayOut: "unmount or close the device; then 'snapmill cleanup', repair, or the next start removes it",
  repaired,
});

const damagedJob = ({ jobId, damage }: DamagedJob): Diagnosis => ({
  kind: "damaged-job",
  subject: quoted(jobId),
  sentence: `the failed job ${quoted(jobId)} is none of this snapmill: ${damage}`,
  wayOut: "find out what else writes into this Redis; then remove the job in the dashboard",
  repaired: false,
});

function report(config: Config, findings: readonly Diagnosis[]): string[] {
  if (findings.length === 0) return [`pool ${config.pool} in ${paths.poolDir(config)} is in order`];
  const left = findings.filter(({ repaired }) => !repaired).length;
  const repairedCount = findings.length - left;
  return [
    bold(`${plural(findings.length, "thing")} not in order in pool ${config.pool}`),
    ...findings.flatMap(({ sentence, wayOut, repaired }) => [sentence, repaired ? "  repaired" : `  ${wayOut}`]),
    ...(repairedCount > 0 ? [`${repairedCount} repaired, ${left} left`] : []),
  ];
}
