// Room: drivers. Owns dmsetup's command lines: each verb as the arguments that ask for it.
import type { DmTable, PoolMessage } from "./control.ts";
import { escapeName } from "./names.ts";
import { infoColumns, infoSeparator } from "./parsing.ts";
import { tableLine } from "./tables.ts";

/** Names are escaped here: in its default mode dmsetup does not escape a name that looks escaped. */
const verbatim = ["--manglename", "none"] as const;

/** Without udevd, or with a slow one, dmsetup makes and removes the node itself instead of relying on udev. */
const withNode = [...verbatim, "--verifyudev"] as const;

/** A name may begin with "-". */
const named = (name: string) => ["--", escapeName(name)];

export const versionArguments = (): string[] => ["version"];

export const targetsArguments = (): string[] => ["targets"];

export const createArguments = (name: string, table: DmTable): string[] => [
  "create",
  ...withNode,
  "--table",
  tableLine(table),
  ...named(name),
];

export const reloadArguments = (name: string, table: DmTable): string[] => [
  "reload",
  ...verbatim,
  "--table",
  tableLine(table),
  ...named(name),
];

export const suspendArguments = (name: string, lockFs: boolean, flush: boolean): string[] => [
  "suspend",
  ...verbatim,
  ...(lockFs ? [] : ["--nolockfs"]),
  ...(flush ? [] : ["--noflush"]),
  ...named(name),
];

export const resumeArguments = (name: string): string[] => ["resume", ...withNode, ...named(name)];

export const removeArguments = (name: string, deferred: boolean): string[] => [
  "remove",
  ...withNode,
  ...(deferred ? ["--deferred"] : []),
  ...named(name),
];

/** Messages go to the target at sector 0: a pool is one target. */
export const messageArguments = (pool: string, message: PoolMessage): string[] => [
  "message",
  ...verbatim,
  ...named(pool),
  "0",
  messageText(message),
];

/** Of one device, or of all. */
export const infoArguments = (name?: string): string[] => [
  "info",
  ...verbatim,
  "--columns",
  "--noheadings",
  "--separator",
  infoSeparator,
  "-o",
  infoColumns,
  ...(name === undefined ? [] : named(name)),
];

export const tableArguments = (name: string): string[] => ["table", ...verbatim, ...named(name)];

export const statusArguments = (name: string, flush: boolean): string[] => [
  "status",
  ...verbatim,
  ...(flush ? [] : ["--noflush"]),
  ...named(name),
];

/** The message as the kernel reads it (Documentation/admin-guide/device-mapper/thin-provisioning.rst). */
export function messageText(message: PoolMessage): string {
  switch (message.kind) {
    case "create_thin":
    case "delete":
      return `${message.kind} ${message.deviceId}`;
    case "create_snap":
      return `create_snap ${message.deviceId} ${message.originId}`;
    case "set_transaction_id":
      return `set_transaction_id ${message.from} ${message.to}`;
    case "reserve_metadata_snap":
    case "release_metadata_snap":
      return message.kind;
  }
}
