// Room: test. Owns the health of a snapmill that is well.
import type { Health } from "../../src/domain/health.ts";

export const well: Health = {
  ok: true,
  reasons: [],
  parts: {
    up: [],
    redis: [],
    queue: [],
    database: [],
    pool: [],
    poolWorker: [],
    unpackWorkers: [],
    grpcServer: [],
    disk: [],
  },
  unpackWorkers: { ready: 2, wanted: 2 },
  heartbeatAgesMs: { pool: 100, unpack: [100, 200], grpc: 300 },
  stateDirectory: { freeBytes: 1, totalBytes: 2 },
  pools: [{ pool: "default", ok: true, reasons: [] }],
};
