// Room: service. Owns noticing that what is shown may have changed: by the databases' own counters, without reading them.
import { type Database, writeStamp } from "../metadata/database.ts";
import type { Host } from "./host.ts";

/** Another after every change that a database of this `up` has seen, by whichever process. */
export function changeStamp({ pools, auditLog }: Host): string {
  const databases = [auditLog, ...[...pools.values()].map(({ database }) => database)];
  return databases.map(stampOf).join(" ");
}

function stampOf(database: () => Database): string {
  try {
    return writeStamp(database());
  } catch {
    // It is missing or replaced at the moment, which is a change, too.
    return "away";
  }
}
