// A worker that is killed: it opens the pool, sets a scenario up, and is killed at the fault in its operation.
import { writeSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import { armFault, type Fault, faultText } from "../../src/system/faults.ts";
import { type Bundle, bundle } from "./bundle.ts";
import { growTo } from "./growth.ts";
import { type PoolPlace, startWorker } from "./pool.ts";
import { newClient, runOperation } from "./scenarios.ts";
import { scenarioOf, setUpScenario } from "./set-up-scenario.ts";

/** What the worker does when it is killed: its start, a scenario's operation, its stop in that scenario, or a growth. */
export type Activity =
  | { readonly kind: "start" }
  | { readonly kind: "operation" | "stop"; readonly scenario: string }
  | { readonly kind: "growth"; readonly dataBytes: number };

interface Instructions {
  readonly place: PoolPlace;
  readonly snapshotter: Partial<SnapshotterOptions>;
  readonly fault: string;
  readonly activity: Activity;
}

/** Bundled into one file, the worker starts in a fraction of the time in a guest, where reading files is slow. */
export const bundleKilledWorker = (): Promise<Bundle> => bundle(import.meta.path);

/**
 * Returns what the process wrote before it was killed: the operation of its scenario, if it had one. Throws when it did not
 * reach the fault and so ended in another way.
 */
export async function killAt(
  program: Bundle,
  fault: Fault,
  place: PoolPlace,
  activity: Activity,
  snapshotter: Partial<SnapshotterOptions> = {},
): Promise<string> {
  const marker = join(place.directory, "marker");
  await writeFile(marker, "");
  const instructions: Instructions = { place, snapshotter, fault: `${faultText(fault)}@${marker}`, activity };
  const child = Bun.spawn([process.execPath, program.path, JSON.stringify(instructions)], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, complained] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  await rm(marker, { force: true });
  if (child.signalCode === "SIGKILL") return said;
  throw new Error(`the worker was not killed: it ended with ${String(child.exitCode)}: ${said}${complained}`);
}

async function run({ place, snapshotter, fault, activity }: Instructions): Promise<void> {
  if (activity.kind === "start") armFault(fault);
  const worker = await startWorker(place, snapshotter);
  switch (activity.kind) {
    case "start":
      return;
    case "operation":
    case "stop": {
      const operation = await setUpScenario(place, newClient(worker), scenarioOf(activity.scenario));
      // Not through a stream: the next line may be the last.
      writeSync(1, JSON.stringify(operation));
      armFault(fault);
      if (activity.kind === "stop") await worker[Symbol.asyncDispose]();
      // Some scenarios expect a failure.
      else await runOperation(worker, operation).catch(() => undefined);
      return;
    }
    case "growth":
      armFault(fault);
      await growTo(place, activity.dataBytes);
  }
}

if (import.meta.main) {
  await run(JSON.parse(process.argv[2] ?? "") as Instructions);
  process.exit(0);
}
