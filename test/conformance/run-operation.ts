// A process that recovers a pool and runs one operation on it, to be killed at a fault point.
import { armFault } from "../../src/system/faults.ts";
import { type Ground, openStage } from "./stage.ts";

export interface Errand {
  /** Path of a module that exports a `ground`. */
  readonly ground: string;
  readonly directory: string;
  readonly fault: string | undefined;
  readonly verb: "prepare" | "commit" | "remove";
  readonly operationId: string;
  readonly request: object;
}

const errand = JSON.parse(process.argv[2] ?? "") as Errand;
const { ground } = (await import(errand.ground)) as { ground: Ground };
await using stage = await openStage(ground, { directory: errand.directory });
armFault(errand.fault);
const verb = stage.snapshotter[errand.verb] as (operationId: string, request: object) => Promise<unknown>;
await verb(errand.operationId, errand.request);
