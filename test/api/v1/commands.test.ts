// Owns the proof that whatever a command does can be done over HTTP, or is said to be of this host alone.
import { expect, test } from "bun:test";
import type { Command } from "commander";
import { buildProgram } from "../../../src/cli/program.ts";
import { api, type OperationName } from "../../../src/service/api.ts";

/** The operations that each command calls; or why it is for the pool's host alone. */
const commands: Readonly<Record<string, readonly OperationName[] | string>> = {
  up: "it is what serves HTTP",
  status: ["status", "readiness", "poolVerdict", "now"],
  hosts: ["listHosts"],
  queues: ["queues"],
  "queues pause": ["holdQueue"],
  "queues resume": ["releaseQueue"],
  drain: ["drain"],
  resume: ["releaseQueue"],
  "pool create": "a pool is made before an up serves it",
  "pool grow": ["growPool"],
  "pool status": ["poolStatus"],
  "pool reset": ["poolContents", "resetPool"],
  unpack: ["unpack", "planUnpack", "cancelUnpack"],
  "batch submit": ["submitBatch"],
  "batch ls": ["listBatches"],
  "batch show": ["batch", "listBatchItems"],
  "batch cancel": ["cancelBatch"],
  "batch retry": ["retryBatch"],
  "batch rm": ["removeBatch"],
  "batch export": ["batch", "listBatchItems"],
  images: ["listImages"],
  "images rm": ["removeImages"],
  "images prune": ["pruneImages"],
  "images pin": ["pinImages"],
  "images unpin": ["unpinImages"],
  ls: ["listSnapshots"],
  stat: ["stat"],
  usage: ["usage"],
  mounts: ["mounts"],
  mount: "it mounts on a directory of this host",
  umount: "it unmounts a directory of this host",
  prepare: ["prepare"],
  view: ["view"],
  commit: ["commit"],
  checkpoint: ["checkpoint"],
  rm: ["remove", "removeCompletely"],
  label: ["label"],
  doctor: ["doctor"],
  cleanup: ["cleanup", "listRemovals"],
  audit: ["listAudit"],
  "config default": "it prints the settings' documentation",
  "config check": "it reads a file of this host, before an up does",
  "config show": "it tells what the settings of this host are, and where they come from",
  "sign-in": "it gives whoever has the host's files a way into its pages",
  "token create": "whoever makes tokens has the host's files, and needs none",
  "token ls": "as above",
  "token revoke": "as above",
  completion: "it prints a script for a shell of this host",
  unpacks: ["listUnpacks"],
  "unpacks cancel": ["cancelUnpack"],
  removals: ["listRemovals"],
  "removals retry": ["retryRemovals"],
  "removals discard": ["discardRemovals"],
};

/** Commands that do something: a group does if it has no subcommands, or an action of its own. */
function acting(command: Command, path: readonly string[]): string[] {
  const name = path.join(" ");
  const isActing = command.commands.length === 0 || name in commands;
  return [
    ...(isActing && path.length > 0 ? [name] : []),
    ...command.commands.flatMap((each) => acting(each, [...path, each.name()])),
  ];
}

const found = acting(await buildProgram("0.0.0"), []);

test("each command names its operations, or says why it is for this host alone", () => {
  expect(found.filter((name) => commands[name] === undefined)).toEqual([]);
  expect(Object.keys(commands).filter((name) => !found.includes(name))).toEqual([]);
});

test("the operations that a command names are offered over HTTP", () => {
  const named = Object.values(commands).flatMap((operations) => (typeof operations === "string" ? [] : operations));
  expect(named.filter((name) => !(name in api))).toEqual([]);
});
