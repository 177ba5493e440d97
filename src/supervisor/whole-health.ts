// Room: supervisor. Owns the health of a snapmill that serves several pools, made of the health of each.
import { internal } from "../domain/errors.ts";
import { type Health, type HealthPart, healthParts, type PartReasons, type Phase } from "../domain/health.ts";
import type { PoolName } from "../domain/identifiers.ts";
import type { HealthCheck } from "./health.ts";

/** What is the same for all pools: it is said once. */
const shared: readonly HealthPart[] = ["up", "redis", "disk"];

export class WholeHealth {
  readonly #checks: ReadonlyMap<PoolName, HealthCheck>;

  constructor(checks: ReadonlyMap<PoolName, HealthCheck>) {
    this.#checks = checks;
  }

  set phase(phase: Phase) {
    for (const check of this.#checks.values()) check.phase = phase;
  }

  /** Of one pool alone. */
  async currentOf(pool: PoolName): Promise<Health> {
    const check = this.#checks.get(pool);
    if (check === undefined) throw internal(`pool ${pool} is not one of those that are served`);
    return await check.current();
  }

  async current(): Promise<Health> {
    const checks = [...this.#checks];
    return together(await Promise.all(checks.map(async ([pool, check]) => [pool, await check.current()] as const)));
  }
}

function together(healths: readonly (readonly [PoolName, Health])[]): Health {
  const [only] = healths;
  if (only !== undefined && healths.length === 1) return only[1];
  const all = healths.map(([, health]) => health);
  const reasonsOf = (part: HealthPart): readonly string[] =>
    shared.includes(part)
      ? [...new Set(all.flatMap(({ parts }) => parts[part]))]
      : healths.flatMap(([pool, { parts }]) => parts[part].map((reason) => inPool(pool, reason)));
  const parts = Object.fromEntries(healthParts.map((part) => [part, reasonsOf(part)])) as PartReasons;
  const reasons = healthParts.flatMap((part) => parts[part]);
  const sum = (read: (health: Health) => number) => all.reduce((total, health) => total + read(health), 0);
  return {
    ok: reasons.length === 0,
    reasons,
    parts,
    unpackWorkers: {
      ready: sum(({ unpackWorkers }) => unpackWorkers.ready),
      wanted: sum(({ unpackWorkers }) => unpackWorkers.wanted),
    },
    heartbeatAgesMs: {
      pool: oldest(all.map(({ heartbeatAgesMs }) => heartbeatAgesMs.pool)),
      unpack: all.flatMap(({ heartbeatAgesMs }) => heartbeatAgesMs.unpack),
      grpc: oldest(all.map(({ heartbeatAgesMs }) => heartbeatAgesMs.grpc)),
    },
    stateDirectory: only?.[1].stateDirectory ?? { freeBytes: 0, totalBytes: 0 },
    pools: all.flatMap(({ pools }) => pools),
  };
}

/** A sentence that names its pool stays as it is. */
const inPool = (pool: PoolName, reason: string): string =>
  reason.includes(`pool ${pool}`) ? reason : `pool ${pool}: ${reason}`;

const oldest = (ages: readonly (number | null)[]): number | null =>
  ages.reduce<number | null>((most, age) => (most === null || age === null ? null : Math.max(most, age)), 0);
