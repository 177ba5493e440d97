// Room: scripts. Owns the run of the fault tests: workers of a pool killed at every fault point of every operation, and
// the power of a guest cut during a sequence of operations. Without device-mapper on this kernel, all runs in guests.
//
//   npm run test:faults                                  everything, with either control of device-mapper
//   npm run test:faults -- --control dmsetup             with one of them
//   npm run test:faults -- --only kills commit           operations whose names contain a word
//   npm run test:faults -- --only power --cuts 5 --seed 7
import { join } from "node:path";
import { parseArgs } from "node:util";
import { childEnvironment } from "../src/config.ts";
import { type DmControlName, dmControlNames } from "../src/drivers/devicemapper/control/control.ts";
import { describeExit, startProcess } from "../src/system/process/processes.ts";
import { cutPower, type PowerCut } from "../test/faults/power-cuts.ts";
import { frugalBun, inGuest, whyNoGuest } from "../test/guest/guest.ts";
import { randomOf, seedOf } from "../test/support/random.ts";
import { findTestMachine, type TestMachine } from "./test-machine.ts";
import { TestProcesses } from "./test-process.ts";

const root = join(import.meta.dir, "..");
const killsTimeoutSeconds = 3 * 60 * 60;
const bootTimeoutSeconds = 600;

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    control: { type: "string" },
    only: { type: "string" },
    cuts: { type: "string", default: "20" },
    seed: { type: "string" },
  },
});
const controls = dmControlNames.filter((name) => values.control === undefined || values.control === name);

/** Runs the kills with one control; returns what went wrong, in a sentence. */
async function runKills(machine: TestMachine, control: DmControlName): Promise<string | undefined> {
  const command = [process.execPath, join(root, "test/faults/run.ts"), "--control", control, ...words];
  const options = { timeoutSeconds: killsTimeoutSeconds, environment: frugalBun };
  const running = startProcess(machine.kind === "guest" ? inGuest(command, options) : command, {
    environment: childEnvironment({}),
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  const exit = await running.exited;
  return exit.kind === "exited" && exit.code === 0 ? undefined : `kills with ${control}: ${describeExit(exit)}`;
}

async function runPowerCuts(control: DmControlName, count: number): Promise<string | undefined> {
  const seed = seedOf(values.seed);
  console.log(`\npower cuts, device-mapper by ${control} (--seed ${seed} repeats them):`);
  const tell = (sentence: string) => console.log(`  ${sentence}`);
  try {
    const request = { control, cuts: count, random: randomOf(seed), tell, timeoutSeconds: bootTimeoutSeconds };
    tellOf(control, await cutPower(request));
    return undefined;
  } catch (error) {
    return `power cuts with ${control}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function tellOf(control: DmControlName, cuts: readonly PowerCut[]): void {
  const inRecovery = cuts.filter((cut) => cut.inRecovery).length;
  const operations = cuts.at(-1)?.acknowledged ?? 0;
  console.log(
    `power cuts with ${control}: ${cuts.length}, of them ${inRecovery} during recovery, in ${operations} operations; all recovered`,
  );
}

async function runAll(machine: TestMachine): Promise<string[]> {
  const failures: (string | undefined)[] = [];
  if (values.only !== "power") for (const control of controls) failures.push(await runKills(machine, control));
  if (values.only !== "kills") failures.push(...(await runAllPowerCuts()));
  return failures.filter((failure) => failure !== undefined);
}

/** The same number with each control. */
async function runAllPowerCuts(): Promise<(string | undefined)[]> {
  const noGuest = whyNoGuest();
  if (noGuest !== undefined) {
    console.log(`power cuts: skipped: ${noGuest}`);
    return [];
  }
  const failures: (string | undefined)[] = [];
  const count = Math.ceil(Number(values.cuts) / controls.length);
  for (const control of controls) failures.push(await runPowerCuts(control, count));
  return failures;
}

async function main(): Promise<number> {
  const machine = await findTestMachine(new TestProcesses());
  if (machine.kind === "nowhere" || machine.kind === "broken") {
    console.log(`fault tests: skipped: ${machine.kind === "nowhere" ? machine.reason : machine.text}`);
    return machine.kind === "nowhere" ? 0 : 1;
  }
  console.log(`fault tests: ${machine.text}`);
  const failures = await runAll(machine);
  for (const failure of failures) console.log(`FAIL ${failure}`);
  console.log(failures.length === 0 ? "all recovered" : `${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
}

process.exit(await main());
