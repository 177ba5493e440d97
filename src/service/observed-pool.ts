// Room: service. Owns a pool as an `up` serves and observes it: its operations, its metrics, its watch and its history.
import type { Config } from "../config.ts";
import type { Health } from "../domain/health.ts";
import type { Services } from "../supervisor/services.ts";
import type { RecordedPool } from "./history-recorder.ts";
import { MetricsReader } from "./metrics-reader.ts";
import { PoolWatch } from "./pool-watch.ts";
import { ServerService } from "./server-service.ts";
import { poolVerdict } from "./verdict.ts";

export interface ObservedPool extends AsyncDisposable {
  readonly service: ServerService;
  readonly metrics: MetricsReader;
  readonly recorded: RecordedPool;
}

export interface Observation {
  readonly version: string;
  readonly services: Pick<Services, "watched" | "measured">;
  readonly health: () => Promise<Health>;
  /** Why `up` cannot record changes; null: it can. */
  readonly recordsTrouble: () => string | null;
  readonly onNotice: (sentence: string) => void;
}

export function observePool(
  config: Config,
  { version, services, health, recordsTrouble, onNotice }: Observation,
): ObservedPool {
  const { pool } = config;
  const watch = new PoolWatch({
    config,
    children: () => services.watched(pool),
    components: () => services.measured(pool).components,
    health,
    recordsTrouble,
  });
  const readiness = async () => {
    const { ok, parts } = await health();
    return { ok, parts };
  };
  const service = new ServerService(config, onNotice, { readiness, watch });
  const metrics = new MetricsReader(config, version, services.measured(pool));
  const recorded: RecordedPool = {
    pool,
    readings: () => metrics.read(),
    onRead: async (readings) => {
      watch.note(readings);
      // Notes since when what is wrong has been so.
      await poolVerdict(service, {});
    },
  };
  return { service, metrics, recorded, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}
