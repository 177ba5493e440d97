// Room: drivers. Owns the fault points of device-mapper: one after each call that has changed something in the kernel.
import { type FaultPoint, reach } from "../../../system/faults.ts";
import type { DmControl } from "./control.ts";

/** The same control, with fault points. */
export function withFaultPoints(control: DmControl): DmControl {
  const reaching =
    <Arguments extends readonly unknown[]>(point: FaultPoint, verb: (...args: Arguments) => Promise<void>) =>
    async (...args: Arguments): Promise<void> => {
      await verb(...args);
      reach(point);
    };
  return {
    name: control.name,
    version: () => control.version(),
    targets: () => control.targets(),
    info: (name) => control.info(name),
    list: (prefix) => control.list(prefix),
    table: (name) => control.table(name),
    status: (name, options) => control.status(name, options),
    create: reaching("dm.create", (name, table) => control.create(name, table)),
    reload: reaching("dm.reload", (name, table) => control.reload(name, table)),
    suspend: reaching("dm.suspend", (name, options) => control.suspend(name, options)),
    resume: reaching("dm.resume", (name) => control.resume(name)),
    remove: reaching("dm.remove", (name, options) => control.remove(name, options)),
    message: reaching("dm.message", (pool, message) => control.message(pool, message)),
    [Symbol.asyncDispose]: () => control[Symbol.asyncDispose](),
  };
}
