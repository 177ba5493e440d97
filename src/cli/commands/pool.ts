// Room: cli. Owns `snapmill pool`, the parent of the pool commands.
import type { Command } from "commander";
import { addPoolCreate } from "./pool-create.ts";
import { addPoolGrow } from "./pool-grow.ts";
import { addPoolReset } from "./pool-reset.ts";
import { addPoolStatus } from "./pool-status.ts";

export function addPool(program: Command): void {
  const pool = program
    .command("pool")
    .description("create, grow and inspect thin-pools, the pools of the devmapper driver; empty a pool of any driver")
    .summary("create, grow, inspect and empty pools")
    .helpCommand(false);
  addPoolCreate(pool);
  addPoolGrow(pool);
  addPoolStatus(pool);
  addPoolReset(pool);
}
