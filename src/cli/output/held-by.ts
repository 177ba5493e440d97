// Room: cli. Owns how a list shows who holds a device.
import { describeHolders, type Holder, type HolderProcess } from "../../domain/holders.ts";
import type { HeldBy, ShownHolder } from "../../service/holders.ts";
import { formatTime } from "./format.ts";

/** Null: nobody was looked for. */
export function heldByText(heldBy: HeldBy | null): string {
  if (heldBy === null) return "-";
  const { holders, more, isComplete } = heldBy;
  if (holders.length === 0) return isComplete ? "nobody" : "unknown: the search took too long";
  return describeHolders(holders.map(holderOf), more, named);
}

const named = ({ pid, command, startedAtMs }: HolderProcess): string =>
  `process ${pid} (${command}, since ${formatTime(startedAtMs)})`;

function holderOf({ how, pid, command, startedAtMs, ...place }: ShownHolder): Holder {
  const process = { pid: pid ?? 0, command: command ?? "", startedAtMs: startedAtMs ?? 0 };
  if (how === "descriptor") return { kind: "open", process };
  if (how !== "mount") return { kind: "device", device: place.device ?? "", madeBy: how };
  const { mountPoint, mountNamespace: namespace, isOwnNamespace } = place;
  const mount = { mountPoint: mountPoint ?? "", namespace: namespace ?? 0, isOwnNamespace: isOwnNamespace === true };
  return { kind: "mount", ...mount, ...(pid === null ? {} : { process }) };
}
