// A process that recovers a pool, runs one operation on it and is killed at a fault point; and how it is started.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { armFault, type FaultPoint } from "../../src/system/faults.ts";
import { openFixture, type TestPool } from "./snapshotter-fixture.ts";

export interface KilledOperation {
  /** The directory of the pool. */
  readonly directory: string;
  /** Path of a module that exports a `testPool`. */
  readonly testPoolModule: string;
  readonly point: FaultPoint;
  readonly verb: "prepare" | "commit" | "checkpoint" | "commit-copies" | "remove" | "remove-device";
  readonly operationId: string;
  readonly request: object;
}

/** Runs the operation in a process that is killed at the point; returns the signal that ended it. */
export async function runUntilKilled(operation: KilledOperation): Promise<string> {
  writeFileSync(markerOf(operation), "");
  const child = Bun.spawn([process.execPath, import.meta.path, JSON.stringify(operation)], {
    stdout: "inherit",
    stderr: "inherit",
  });
  await child.exited;
  return String(child.signalCode);
}

const markerOf = ({ directory }: KilledOperation): string => join(directory, "marker");

async function run(operation: KilledOperation): Promise<void> {
  const { testPool } = (await import(operation.testPoolModule)) as { testPool: TestPool };
  await using fixture = await openFixture(testPool, { directory: operation.directory });
  armFault(`${operation.point}@${markerOf(operation)}`);
  const verb = fixture.snapshotter[operation.verb] as (operationId: string, request: object) => Promise<unknown>;
  await verb(operation.operationId, operation.request);
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? "") as KilledOperation);
