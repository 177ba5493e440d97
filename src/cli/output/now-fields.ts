// Room: cli. Owns how it is shown what a pool does at this moment.
import { formatDuration } from "../../domain/units.ts";
import type { Now } from "../../service/now.ts";
import { plural } from "./format.ts";

type Field = readonly [string, string | undefined];

export function nowFields({ atMs, worker, unpacks, failures }: Now): Field[] {
  const failed = failures.reduce((sum, { count }) => sum + count, 0);
  const [most] = failures;
  return [
    ["Worker", worker === null ? undefined : workerText(worker, atMs)],
    ...(unpacks ?? []).map(({ image, layers, startedAtMs }): Field => {
      const done = layers.filter(({ state }) => state === "unpacked" || state === "cached").length;
      const spent = startedAtMs === null ? "" : ` for ${formatDuration(Math.max(0, atMs - startedAtMs))}`;
      return ["Unpacking", `${image}${spent}: ${done} of ${plural(layers.length, "layer")}`];
    }),
    [
      "Failures",
      most === undefined
        ? undefined
        : `${failed} within a day, most often ${most.operation} (${most.code}): ${most.count}`,
    ],
  ];
}

function workerText(worker: NonNullable<Now["worker"]>, atMs: number): string {
  const { operation, sinceMs, usuallyWithinMs, isSlow } = worker;
  if (operation === null || sinceMs === null) return "waits for work";
  const usual = usuallyWithinMs === null ? "" : `, usually within ${formatDuration(usuallyWithinMs)}`;
  return `${operation} for ${formatDuration(Math.max(0, atMs - sinceMs))}${usual}${isSlow ? ": slow" : ""}`;
}
