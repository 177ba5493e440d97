// A worker of a pool that is to be killed: it opens the pool, does one operation, and dies at the fault on its way.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import { armFault, type Fault, faultText } from "../../src/system/faults.ts";
import { type Bundle, bundle } from "./bundle.ts";
import { growTo } from "./growth.ts";
import { type PoolPlace, startWorker } from "./pool.ts";
import { type Errand, perform } from "./scenes.ts";

/** What is under way when it dies: the start itself, an operation, or a growth of the pool's data. */
export type Doing =
  | { readonly kind: "start" }
  | { readonly kind: "operation"; readonly errand: Errand }
  | { readonly kind: "growth"; readonly dataBytes: number };

interface Orders {
  readonly place: PoolPlace;
  readonly snapshotter: Partial<SnapshotterOptions>;
  readonly fault: string;
  readonly doing: Doing;
}

/** The victim's program. In one file, it starts in a fraction of the time where reading a file is dear. */
export const bundleVictim = (): Promise<Bundle> => bundle(import.meta.path);

/** Throws when the process ended in another way than by SIGKILL: it did not reach the fault. */
export async function killAt(
  program: Bundle,
  fault: Fault,
  place: PoolPlace,
  doing: Doing,
  snapshotter: Partial<SnapshotterOptions> = {},
): Promise<void> {
  const marker = join(place.directory, "marker");
  await writeFile(marker, "");
  const orders: Orders = { place, snapshotter, fault: `${faultText(fault)}@${marker}`, doing };
  const child = Bun.spawn([process.execPath, program.path, JSON.stringify(orders)], {
    stdout: "inherit",
    stderr: "pipe",
  });
  const said = await new Response(child.stderr).text();
  await child.exited;
  await rm(marker, { force: true });
  if (child.signalCode !== "SIGKILL")
    throw new Error(`the worker was not killed: it ended with ${String(child.exitCode)}: ${said}`);
}

async function run({ place, snapshotter, fault, doing }: Orders): Promise<void> {
  if (doing.kind === "start") armFault(fault);
  const worker = await startWorker(place, snapshotter);
  switch (doing.kind) {
    case "start":
      return;
    case "operation":
      armFault(fault);
      // That it fails may be what it is for.
      await perform(worker, doing.errand).catch(() => undefined);
      return;
    case "growth":
      armFault(fault);
      await growTo(place, doing.dataBytes);
  }
}

if (import.meta.main) {
  await run(JSON.parse(process.argv[2] ?? "") as Orders);
  process.exit(0);
}
