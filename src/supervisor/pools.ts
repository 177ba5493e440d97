// Room: supervisor. Owns which pools a state directory holds.
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Config, paths } from "../config.ts";
import { isSnapmillError } from "../domain/errors.ts";
import { type PoolName, poolName } from "../domain/identifiers.ts";

/** The pools that lie in the state directory, the configured one first. */
export function poolsIn(config: Config): readonly PoolName[] {
  const names = readdirSync(dirname(paths.poolDir(config)), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => asPoolName(entry.name))
    .filter((name) => name !== config.pool);
  return [config.pool, ...names.sort()];
}

/** A directory that is no pool's is none of our business. */
function asPoolName(text: string): PoolName[] {
  try {
    return [poolName(text)];
  } catch (error) {
    if (isSnapmillError(error, "invalid_argument")) return [];
    throw error;
  }
}
