// Room: drivers. Owns how a driver's calls, and those of device-mapper below it, show in traces: one span each.
import { inWork, isTracing, type Work } from "../domain/work.ts";
import type { DmControl } from "./devicemapper/control/control.ts";
import type { Driver } from "./port.ts";

const driverVerbs = [
  "open",
  "claim",
  "close",
  "create",
  "snapshot",
  "checkpoint",
  "adopt",
  "activate",
  "deactivate",
  "delete",
  "resume",
  "flush",
  "isBusy",
  "holders",
  "usedBytes",
  "head",
  "poolUsage",
  "grow",
  "list",
] as const satisfies readonly (keyof Driver)[];

const controlVerbs = [
  "create",
  "reload",
  "suspend",
  "resume",
  "remove",
  "message",
  "info",
  "list",
  "table",
  "status",
] as const satisfies readonly (keyof DmControl)[];

export const observedDriver = (driver: Driver): Driver =>
  observed(driver, driverVerbs, (verb, args) => ({
    name: `driver ${verb}`,
    fields: { device: deviceAmong(args) },
    attributes: { "snapmill.driver": driver.name },
  }));

export const observedControl = (control: DmControl): DmControl =>
  observed(control, controlVerbs, (verb, [name]) => ({
    name: `dm ${verb}`,
    fields: { device: typeof name === "string" ? name : undefined },
    attributes: { "snapmill.dm_control": control.name },
  }));

/** `target`, each call of whose `verbs` is work; itself where no traces are made. */
function observed<T extends object>(
  target: T,
  verbs: readonly (keyof T & string)[],
  workOf: (verb: string, args: readonly unknown[]) => Work,
): T {
  if (!isTracing()) return target;
  return new Proxy(target, {
    get: (_target, property) => {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      const verb = verbs.find((candidate) => candidate === property);
      if (verb === undefined) return value.bind(target);
      return (...args: readonly unknown[]) => inWork(workOf(verb, args), () => value.apply(target, args) as unknown);
    },
  });
}

/** The one that a call is about: the last, where it names an origin first. */
function deviceAmong(args: readonly unknown[]): string | undefined {
  const names = args.flatMap((given) =>
    typeof given === "object" && given !== null && "deviceName" in given ? [String(given.deviceName)] : [],
  );
  return names.at(-1);
}
