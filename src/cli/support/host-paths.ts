// Room: cli. Owns references and paths that mean files of the pool's host: relative ones are another machine's elsewhere.
import { isAbsolute, resolve } from "node:path";
import type { Command } from "commander";
import { parseHost } from "../../client/host.ts";
import { invalidArgument } from "../../domain/errors.ts";
import { absoluteReference } from "../../images/reference.ts";
import { remoteOf } from "./host.ts";

/** Whether the pool's host has this machine's files, so that relative paths begin at the current directory. */
function hasOurFiles(command: Command): boolean {
  const remote = remoteOf(command);
  return remote === undefined || parseHost(remote.host).isHere;
}

/** How `command` makes a reference independent of this machine's current directory. Throws invalid_argument. */
export function referencesOf(command: Command): (text: string) => string {
  if (hasOurFiles(command)) return (text) => absoluteReference(text, process.cwd());
  return (text) => {
    const full = absoluteReference(text, "/");
    if (full === absoluteReference(text, "/any")) return full;
    throw invalidArgument(`${text} has a relative path: give the path on the pool's host, from its root`);
  };
}

/** The same for a path. */
export function pathOn(command: Command, path: string): string {
  if (isAbsolute(path) || hasOurFiles(command)) return resolve(path);
  throw invalidArgument(`path ${path} is relative: give the path on the pool's host, from its root`);
}
