// A worker of a pool that is to be killed: it opens the pool, sets a scene, and dies at the fault in its operation.
import { writeSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import { armFault, type Fault, faultText } from "../../src/system/faults.ts";
import { type Bundle, bundle } from "./bundle.ts";
import { growTo } from "./growth.ts";
import { type PoolPlace, startWorker } from "./pool.ts";
import { newClient, perform } from "./scenarios.ts";
import { sceneOf, setScene } from "./set-up-scenario.ts";

/** What is under way when it dies: its start, a scene's operation, its stop on that scene, or a growth of the data. */
export type Doing =
  | { readonly kind: "start" }
  | { readonly kind: "operation" | "stop"; readonly scene: string }
  | { readonly kind: "growth"; readonly dataBytes: number };

interface Orders {
  readonly place: PoolPlace;
  readonly snapshotter: Partial<SnapshotterOptions>;
  readonly fault: string;
  readonly doing: Doing;
}

/** The victim's program. In one file, it starts in a fraction of the time where reading a file is dear. */
export const bundleVictim = (): Promise<Bundle> => bundle(import.meta.path);

/**
 * What the process said before it died: the operation of its scene, if it had one. Throws when it ended in another way
 * than by SIGKILL: it did not reach the fault.
 */
export async function killAt(
  program: Bundle,
  fault: Fault,
  place: PoolPlace,
  doing: Doing,
  snapshotter: Partial<SnapshotterOptions> = {},
): Promise<string> {
  const marker = join(place.directory, "marker");
  await writeFile(marker, "");
  const orders: Orders = { place, snapshotter, fault: `${faultText(fault)}@${marker}`, doing };
  const child = Bun.spawn([process.execPath, program.path, JSON.stringify(orders)], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, complained] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  await rm(marker, { force: true });
  if (child.signalCode === "SIGKILL") return said;
  throw new Error(`the worker was not killed: it ended with ${String(child.exitCode)}: ${said}${complained}`);
}

async function run({ place, snapshotter, fault, doing }: Orders): Promise<void> {
  if (doing.kind === "start") armFault(fault);
  const worker = await startWorker(place, snapshotter);
  switch (doing.kind) {
    case "start":
      return;
    case "operation":
    case "stop": {
      const errand = await setScene(place, newClient(worker), sceneOf(doing.scene));
      // Not through a stream: the next line may be the last.
      writeSync(1, JSON.stringify(errand));
      armFault(fault);
      if (doing.kind === "stop") await worker[Symbol.asyncDispose]();
      // That it fails may be what it is for.
      else await perform(worker, errand).catch(() => undefined);
      return;
    }
    case "growth":
      armFault(fault);
      await growTo(place, doing.dataBytes);
  }
}

if (import.meta.main) {
  await run(JSON.parse(process.argv[2] ?? "") as Orders);
  process.exit(0);
}
