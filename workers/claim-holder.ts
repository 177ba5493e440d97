// Room: workers. Owns the holder that this host's workers claim the pool's name for: the database, and where it lies.
import { statSync } from "node:fs";
import { hostname } from "node:os";
import type { Config } from "../src/config.ts";
import type { ClaimHolder } from "../src/jobs/claims/pool-claims.ts";
import type { Database } from "../src/metadata/database.ts";
import { databaseNumber } from "../src/metadata/pool.ts";
import { bootId } from "../src/system/process/boot.ts";

export function claimHolder(config: Config, database: Database): ClaimHolder {
  const { dev, ino } = statSync(database.path);
  return {
    database: databaseNumber(database),
    host: hostname(),
    stateDir: config.stateDir,
    place: `${bootId()}:${dev}:${ino}`,
  };
}
