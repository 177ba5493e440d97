// Room: cli. Owns the arguments that the commands of `snapmill pool` share.
import { InvalidArgumentError } from "commander";
import { poolName } from "../../domain/identifiers.ts";
import { parseSize } from "../../domain/units.ts";
import { accept } from "./options.ts";

export const parsePoolName = accept(poolName);

/** In bytes. */
export const parseBytes = (text: string): number => accept(parseSize)(text);

export function parseWhenFull(text: string): "error" | "queue" {
  if (text === "error" || text === "queue") return text;
  throw new InvalidArgumentError(`${JSON.stringify(text)} is neither error nor queue`);
}
