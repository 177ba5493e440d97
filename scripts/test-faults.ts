// Room: scripts. Owns the run of the fault tests: workers of a pool killed at every fault point of every operation, and
// the power of a guest cut during a batch of operations. What cannot be killed on this kernel is killed in a guest.
//
//   npm run test:faults                                  everything, with either control of device-mapper
//   npm run test:faults -- --control dmsetup             with one of them
//   npm run test:faults -- --only kills commit           operations whose names contain a word
//   npm run test:faults -- --only power --cuts 5 --seed 7
import { join } from "node:path";
import { parseArgs } from "node:util";
import { childEnvironment } from "../src/config.ts";
import { type DmControlName, dmControlNames } from "../src/drivers/devicemapper/control.ts";
import { linesOf } from "../src/system/lines.ts";
import { describeExit, startProcess } from "../src/system/processes.ts";
import { cutPower, type PowerCut } from "../test/faults/power.ts";
import { randomOf, seedOf } from "../test/faults/random.ts";
import { frugalBun, inGuest, whyNoGuest } from "../test/guest/guest.ts";
import { findGround, type Ground } from "./test-grounds.ts";
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
/** Prints a line. */
type Tell = (sentence: string) => void;

const controls = dmControlNames.filter((name) => values.control === undefined || values.control === name);

/** Runs the kills with one control; a sentence about what went wrong. */
async function runKills(ground: Ground, control: DmControlName, tell: Tell): Promise<string | undefined> {
  const command = [process.execPath, join(root, "test/faults/run.ts"), "--control", control, ...words];
  const options = { timeoutSeconds: killsTimeoutSeconds, environment: frugalBun };
  const running = startProcess(ground.kind === "guest" ? inGuest(command, options) : command, {
    environment: childEnvironment({}),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const passOn = async (stream: ReadableStream<Uint8Array>) => {
    for await (const line of linesOf(stream)) tell(line);
  };
  const [exit] = await Promise.all([running.exited, passOn(running.stdout), passOn(running.stderr)]);
  return exit.kind === "exited" && exit.code === 0 ? undefined : `kills with ${control}: ${describeExit(exit)}`;
}

async function runPowerCuts(control: DmControlName, count: number, tell: Tell): Promise<string | undefined> {
  const seed = seedOf(values.seed);
  tell(`power cuts (--seed ${seed} repeats them):`);
  try {
    const request = { control, cuts: count, random: randomOf(seed), tell, timeoutSeconds: bootTimeoutSeconds };
    tell(summaryOf(await cutPower(request)));
    return undefined;
  } catch (error) {
    return `power cuts with ${control}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function summaryOf(cuts: readonly PowerCut[]): string {
  const inRecovery = cuts.filter((cut) => cut.inRecovery).length;
  const operations = cuts.at(-1)?.acknowledged ?? 0;
  return `power cuts: ${cuts.length}, of them ${inRecovery} during recovery, in ${operations} operations; all recovered`;
}

/** Everything with each control: at the same time in guests, which have a kernel and a processor of their own. */
async function runAll(ground: Ground): Promise<string[]> {
  const noGuest = whyNoGuest();
  if (noGuest !== undefined && values.only !== "kills") console.log(`power cuts: skipped: ${noGuest}`);
  const cuts = Math.ceil(Number(values.cuts) / controls.length);
  const failures: (string | undefined)[] = [];
  const run = async (control: DmControlName) => {
    const tell: Tell = (sentence) => console.log(`${control}: ${sentence}`);
    if (values.only !== "power") failures.push(await runKills(ground, control, tell));
    if (values.only !== "kills" && noGuest === undefined) failures.push(await runPowerCuts(control, cuts, tell));
  };
  if (ground.kind === "guest") await Promise.all(controls.map(run));
  else for (const control of controls) await run(control);
  return failures.filter((failure) => failure !== undefined);
}

async function main(): Promise<number> {
  const ground = await findGround(new TestProcesses());
  if (ground.kind === "nowhere" || ground.kind === "broken") {
    console.log(`fault tests: skipped: ${ground.kind === "nowhere" ? ground.reason : ground.text}`);
    return ground.kind === "nowhere" ? 0 : 1;
  }
  console.log(`fault tests: ${ground.text}`);
  const failures = await runAll(ground);
  for (const failure of failures) console.log(`FAIL ${failure}`);
  console.log(failures.length === 0 ? "all recovered" : `${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
}

process.exit(await main());
