// Room: supervisor. Owns the answer to "is it well": Redis asked, the pieces' states, the room left on the disk.
import type { Health } from "../api/http/health.ts";
import { type Config, redisUrl } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { answering, answerTimeoutMs, producerConnection } from "../jobs/connection.ts";
import { spaceOf } from "../system/space.ts";
import type { KeeperState } from "./keeper.ts";
import type { PieceStates } from "./pieces.ts";

export async function currentHealth(config: Config, states: PieceStates): Promise<Health> {
  const [redis, disk] = await Promise.all([redisFailure(config), diskSpace(config)]);
  const pool = states.pool.kind;
  const grpc = states.grpc?.kind ?? "off";
  const readyUnpackers = states.unpackers.filter(isReady).length;
  return {
    ok: redis === null && pool === "ready" && readyUnpackers > 0 && (grpc === "ready" || grpc === "off"),
    redis: redis ?? "ok",
    poolWorker: pool,
    unpackWorkers: { ready: readyUnpackers, wanted: states.unpackers.length },
    grpcServer: grpc,
    stateDirectory: disk,
  };
}

const isReady = (state: KeeperState): boolean => state.kind === "ready";

async function redisFailure(config: Config): Promise<string | null> {
  const url = redisUrl(config);
  try {
    (await answering(producerConnection(url), url, answerTimeoutMs)).disconnect();
    return null;
  } catch (error) {
    return asSnapmillError(error).message;
  }
}

async function diskSpace(config: Config): Promise<Health["stateDirectory"]> {
  const { freeBytes, totalBytes } = await spaceOf(config.stateDir);
  return { freeBytes, totalBytes };
}
