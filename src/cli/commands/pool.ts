// Room: cli. Owns `snapmill pool`, which has commands of its own.
import type { Command } from "commander";
import { addPoolCreate } from "./pool-create.ts";
import { addPoolGrow } from "./pool-grow.ts";
import { addPoolReset } from "./pool-reset.ts";
import { addPoolStatus } from "./pool-status.ts";

export function addPool(program: Command): void {
  const pool = program
    .command("pool")
    .description("make, grow and look at thin-pools, which are pools of the devmapper driver; empty a pool of any kind")
    .summary("make, grow, look at and empty pools")
    .helpCommand(false);
  addPoolCreate(pool);
  addPoolGrow(pool);
  addPoolStatus(pool);
  addPoolReset(pool);
}
