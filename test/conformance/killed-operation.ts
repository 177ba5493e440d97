// A process that recovers a pool and runs one operation on it, to be killed at a fault point; and how it is started.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { armFault, type FaultPoint } from "../../src/system/faults.ts";
import { type Ground, openStage } from "./snapshotter-fixture.ts";

export interface Errand {
  /** Of the pool. */
  readonly directory: string;
  /** Path of a module that exports a `ground`. */
  readonly groundModule: string;
  readonly point: FaultPoint;
  readonly verb: "prepare" | "commit" | "remove" | "removeDevice";
  readonly operationId: string;
  readonly request: object;
}

/** Runs the operation in a process that dies at the point; returns the signal that ended it. */
export async function runErrand(errand: Errand): Promise<string> {
  writeFileSync(markerOf(errand), "");
  const child = Bun.spawn([process.execPath, import.meta.path, JSON.stringify(errand)], {
    stdout: "inherit",
    stderr: "inherit",
  });
  await child.exited;
  return String(child.signalCode);
}

const markerOf = ({ directory }: Errand): string => join(directory, "marker");

async function run(errand: Errand): Promise<void> {
  const { ground } = (await import(errand.groundModule)) as { ground: Ground };
  await using stage = await openStage(ground, { directory: errand.directory });
  armFault(`${errand.point}@${markerOf(errand)}`);
  const verb = stage.snapshotter[errand.verb] as (operationId: string, request: object) => Promise<unknown>;
  await verb(errand.operationId, errand.request);
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? "") as Errand);
