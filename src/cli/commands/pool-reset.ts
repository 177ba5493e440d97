// Room: cli. Owns `snapmill pool reset`.
import type { Command } from "commander";
import { paths } from "../../config.ts";
import { failedPrecondition } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import type { poolContents } from "../../service/reset-pool.ts";
import { plural } from "../output/format.ts";
import { printJson, printLines } from "../output/output.ts";
import { openHere } from "../pool/open.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { parsePoolName } from "../support/pool-options.ts";

interface ResetOptions extends JsonOption {
  readonly yes?: true;
}

export function addPoolReset(pool: Command): void {
  pool
    .command("reset")
    .description("remove everything in a pool: snapshots of all scopes, images and devices")
    .summary("remove all snapshots of a pool")
    .argument("[name]", "the pool's name (default: --pool)", parsePoolName)
    .option("--yes", "do it; without this, only show what would be lost")
    .addOption(jsonOption("one JSON object"))
    .addHelpText(
      "after",
      "\nIf the pool's files are lost, this clears its records. Refused while anything in the pool is in use.",
    )
    .addHelpText(
      "after",
      examples(["pool reset", "shows what would be lost"], ["pool reset default --yes", "empties the pool"]),
    )
    .action(async (name: PoolName | undefined, options: ResetOptions, command: Command) => {
      await using service = await openHere(command, name);
      const { config } = service;
      const { poolContents, resetPool } = await import("../../service/reset-pool.ts");
      const loss = lossText(poolContents(service, {}));
      if (options.yes !== true) {
        throw failedPrecondition(
          `this permanently removes ${loss} of pool ${config.pool} in ${paths.poolDir(config)}: add --yes to do it`,
        );
      }
      using interruption = catchInterruption();
      const { removedDevices } = await resetPool(service, {}, interruption);
      if (options.json) await printJson({ pool: config.pool, removedDevices });
      else await printLines([`pool ${config.pool} is empty: ${plural(removedDevices, "device")} removed`]);
    });
}

const lossText = ({ snapshots, images, devices }: ReturnType<typeof poolContents>): string =>
  `${plural(snapshots, "snapshot")}, ${plural(images, "image")} and ${plural(devices, "device")}`;
