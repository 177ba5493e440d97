// Room: service. Owns reading what an `up` itself records, whether one runs or not.
import { type Config, paths } from "../config.ts";
import { isSnapmillError } from "../domain/errors.ts";
import { type Database, openDatabase } from "../metadata/database.ts";
import { serviceSchema } from "../metadata/migrations.ts";

/** For reading. Undefined if no `up` has recorded anything yet. */
export function recordsIfAny(config: Config): Database | undefined {
  try {
    return openDatabase(paths.serviceDatabase(config), { mode: "readonly", schema: serviceSchema });
  } catch (error) {
    if (isSnapmillError(error, "not_found")) return undefined;
    throw error;
  }
}

/** The same for what can be answered without: undefined also where they cannot be read, which `up` tells. */
export function recordsIfReadable(config: Config): Database | undefined {
  try {
    return recordsIfAny(config);
  } catch {
    return undefined;
  }
}
