// Room: system. Owns the fault points: places, each before or after an effect, where a test can have the process killed.
import { unlinkSync } from "node:fs";

/**
 * Every fault point: `<operation>.<what has just been done>`. Tests take their list from here, so none is forgotten. A
 * `dm.*` point is reached after each call of that verb that has changed something in the kernel.
 */
export const faultPoints = [
  "prepare.intended",
  "prepare.created",
  "prepare.grown",
  "prepare.activated",
  "template.intended",
  "template.formatted",
  "template.rested",
  "commit.intended",
  "commit.flushed",
  "commit.copying",
  "commit.deactivated",
  "checkpoint.intended",
  "checkpoint.copied",
  "commit-copies.intended",
  "commit-copies.adopted",
  "remove.intended",
  "remove.deactivated",
  "remove.deleted",
  "remove-device.intended",
  "remove-device.deactivated",
  "remove-device.deleted",
  "take-back.deactivated",
  "take-back.deleted",
  "clear.intended",
  "clear.deactivated",
  "clear.deleted",
  "settle.committed",
  "dm.create",
  "dm.reload",
  "dm.suspend",
  "dm.resume",
  "dm.remove",
  "dm.message",
  "pool-create.begun",
  "pool-create.filed",
  "pool-create.made",
  "pool-create.defined",
  "pool-grow.filed",
  "pool-grow.swapped",
  "unpack.resolved",
  "unpack.accepted",
  "unpack.locked",
  "unpack.prepared",
  "unpack.applied",
  "unpack.checkpointed",
  "unpack.committed",
  "unpack.chained",
  "unpack.settled",
  "writer.mounted",
  "writer.half",
  "writer.synced",
  "writer.rested",
  "writer.copied",
  "writer.unmounted",
] as const;
export type FaultPoint = (typeof faultPoints)[number];

/** Which time that the point is reached in a process, from 1. */
export interface Fault {
  readonly point: FaultPoint;
  readonly occurrence: number;
}

interface ArmedFault extends Fault {
  readonly marker: string;
}

let armed: ArmedFault | undefined;
let timesReached = 0;
let observer: ((point: FaultPoint) => void) | undefined;

/**
 * Arms one fault, given as `<point>[#<occurrence>]@<marker file>`: the first process that reaches the point that often and
 * deletes the marker kills itself with SIGKILL; later ones continue. Undefined (production) arms nothing.
 */
export function armFault(specification: string | undefined): void {
  armed = specification === undefined ? undefined : parseFault(specification);
  timesReached = 0;
}

function parseFault(specification: string): ArmedFault {
  const [, name, occurrence = "1", marker = ""] = /^([^#@]*)(?:#(\d+))?@(.*)$/s.exec(specification) ?? [];
  const point = faultPoints.find((candidate) => candidate === name);
  if (point === undefined) throw new Error(`unknown fault point in ${JSON.stringify(specification)}`);
  return { point, occurrence: Number(occurrence), marker };
}

export const faultText = ({ point, occurrence }: Fault): string => `${point}#${occurrence}`;

/** Calls `tell` for every point that is reached from now on, so that tests learn which ones an operation passes. */
export function observeFaultPoints(tell: ((point: FaultPoint) => void) | undefined): void {
  observer = tell;
}

export function reach(point: FaultPoint): void {
  observer?.(point);
  if (armed?.point !== point) return;
  timesReached += 1;
  if (timesReached < armed.occurrence) return;
  try {
    unlinkSync(armed.marker);
  } catch {
    return;
  }
  process.kill(process.pid, "SIGKILL");
  // The signal is delivered at once, but no further line of code may run.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
}
