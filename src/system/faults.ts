// Room: system. Owns the fault points: places where a test can have the process killed, each before or after an effect.
import { unlinkSync } from "node:fs";

/** Every fault point. Tests take their list from here, so that none is forgotten. */
export const faultPoints = [
  "prepare.intended",
  "prepare.created",
  "prepare.activated",
  "commit.intended",
  "commit.flushed",
  "commit.deactivated",
  "remove.intended",
  "remove.deactivated",
  "remove.deleted",
  "remove-device.intended",
  "remove-device.deactivated",
  "remove-device.deleted",
  "settle.committed",
  "unpack.resolved",
  "unpack.accepted",
  "unpack.locked",
  "unpack.prepared",
  "unpack.applied",
  "unpack.committed",
  "unpack.chained",
  "unpack.settled",
  "writer.mounted",
  "writer.half",
  "writer.synced",
  "writer.unmounted",
] as const;
export type FaultPoint = (typeof faultPoints)[number];

let armed: { readonly point: FaultPoint; readonly marker: string } | undefined;

/**
 * Arms one fault, given as `<point>@<marker file>`: the first process that reaches the point and manages to delete the
 * marker kills itself with SIGKILL; whoever comes later goes on. Undefined (production) arms nothing.
 */
export function armFault(specification: string | undefined): void {
  armed = undefined;
  if (specification === undefined) return;
  const at = specification.indexOf("@");
  const point = faultPoints.find((candidate) => candidate === specification.slice(0, at));
  if (point === undefined) throw new Error(`unknown fault point in ${JSON.stringify(specification)}`);
  armed = { point, marker: specification.slice(at + 1) };
}

export function reach(point: FaultPoint): void {
  if (armed?.point !== point) return;
  try {
    unlinkSync(armed.marker);
  } catch {
    return;
  }
  process.kill(process.pid, "SIGKILL");
  // The signal is delivered to the process at once, but let no further line of code run.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
}
