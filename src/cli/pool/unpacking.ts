// Room: cli. Owns the pool on this host as unpacks see it: what other operations take is not loaded.
import type { Config } from "../../config.ts";
import { LocalClient } from "../../service/local-client.ts";
import { holdOfUnpacks } from "../../service/queues.ts";
import { unpack } from "../../service/unpack.ts";
import { whileRunning } from "../../service/while-running.ts";
import { notice } from "../output/output.ts";
import type { UnpackPool } from "./pool.ts";

/** Runs `action` while a snapmill runs for the pool: see `whileRunning`. */
export const whileLocalPoolUnpacks = <T>(
  config: Config,
  signal: AbortSignal,
  action: (pool: UnpackPool) => Promise<T>,
): Promise<T> => whileRunning(new LocalClient(config, notice), signal, (service) => action(unpackPoolOf(service)));

export const unpackPoolOf = (service: LocalClient): UnpackPool => ({
  name: service.config.pool,
  serving: async () => {
    const running = await service.running();
    return running && (running.kind === "up" ? "lasting" : "temporary");
  },
  unpackWorkers: () => Promise.resolve(service.config.unpackWorkers),
  unpackHold: async () => holdOfUnpacks(service),
  unpack: (given, options) => unpack(service, given, options),
});
