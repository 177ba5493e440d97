// Room: cli. Owns the arguments that the commands of `snapmill pool` share.
import { type Command, InvalidArgumentError } from "commander";
import type { Config } from "../../config.ts";
import { type PoolName, poolName } from "../../domain/identifiers.ts";
import { parseSize } from "../../domain/units.ts";
import { accept, configOf } from "./options.ts";

export const parsePoolName = accept(poolName);

/** In bytes. */
export const parseBytes = (text: string): number => accept(parseSize)(text);

export function parseWhenFull(text: string): "error" | "queue" {
  if (text === "error" || text === "queue") return text;
  throw new InvalidArgumentError(`${JSON.stringify(text)} is neither error nor queue`);
}

/** `name`: the command's argument, which replaces --pool. */
export const poolConfig = (command: Command, name: PoolName | undefined): Config =>
  configOf(command, name === undefined ? {} : { SNAPMILL_POOL: name });
