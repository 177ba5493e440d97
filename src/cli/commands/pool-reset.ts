// Room: cli. Owns `snapmill pool reset`.
import type { Command } from "commander";
import { type Config, paths } from "../../config.ts";
import { failedPrecondition } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import type { Result } from "../../jobs/contract.ts";
import { countSnapshotsByKind } from "../../metadata/counts.ts";
import { listDevices } from "../../metadata/devices.ts";
import { listImages } from "../../metadata/images.ts";
import { takePoolTurn } from "../../service/pool-turn.ts";
import { readStore } from "../../service/store.ts";
import { plural } from "../output/format.ts";
import { notice, printJson, printLines } from "../output/output.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { parsePoolName, poolConfig } from "../support/pool-options.ts";

interface ResetOptions extends JsonOption {
  readonly yes?: true;
}

export function addPoolReset(pool: Command): void {
  pool
    .command("reset")
    .description("give up everything in a pool: snapshots of all scopes, images and devices; the way to begin anew")
    .summary("give up all snapshots of a pool")
    .argument("[name]", "of the pool; default: --pool", parsePoolName)
    .option("--yes", "do it; without, it is only said what would be lost")
    .addOption(jsonOption("one JSON object"))
    .addHelpText(
      "after",
      "\nOf a pool whose files are lost, the database forgets what was in it. Nothing is given up in use.",
    )
    .addHelpText(
      "after",
      examples(["pool reset", "says what would be lost"], ["pool reset default --yes", "empties the pool"]),
    )
    .action(async (name: PoolName | undefined, options: ResetOptions, command: Command) => {
      const config = poolConfig(command, name);
      const loss = readStore(config, lossOf);
      if (options.yes !== true) {
        throw failedPrecondition(
          `this gives up ${loss} of pool ${config.pool} in ${paths.poolDir(config)} for good: add --yes to do it`,
        );
      }
      const { removedDevices } = await reset(config);
      if (options.json) await printJson({ pool: config.pool, removedDevices });
      else await printLines([`pool ${config.pool} is empty: ${plural(removedDevices, "device")} given up`]);
    });
}

type Store = Parameters<Parameters<typeof readStore>[1]>[0];

function lossOf(database: Store): string {
  const snapshots = Object.values(countSnapshotsByKind(database)).reduce((sum, count) => sum + count, 0);
  const [images, devices] = [listImages(database).length, listDevices(database).length];
  return `${plural(snapshots, "snapshot")}, ${plural(images, "image")} and ${plural(devices, "device")}`;
}

/** Each device that is taken down takes a moment, and there may be thousands. */
const deadlineMs = 30 * 60_000;

const reset = (config: Config): Promise<Result<"reset-pool">> =>
  takePoolTurn(config, notice, {
    byWorker: (client) => client.call("reset-pool", {}, { deadlineMs }),
    byProcess: async () => {
      const { resetStopped } = await import("../../supervisor/stopped-pool.ts");
      using interruption = catchInterruption();
      return await resetStopped(config, interruption.signal);
    },
  });
