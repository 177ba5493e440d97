// Room: api. Owns what an operation acts on: the pool that was named, or the host.
import { notFound } from "../../../domain/errors.ts";
import { type PoolName, poolName } from "../../../domain/identifiers.ts";
import type { Host } from "../../../service/host.ts";
import type { PoolService } from "../../../service/service.ts";
import type { Endpoint } from "./endpoints.ts";

export interface Target {
  readonly target: PoolService | Host;
  /** Undefined: the host. */
  readonly pool: PoolName | undefined;
}

/** Throws invalid_argument and not_found for a pool that is none or is not here. */
export function targetOf(host: Host, { path }: Pick<Endpoint, "path">, named: string | undefined): Target {
  if (!path.startsWith("/v1/pools/{pool}")) return { target: host, pool: undefined };
  const name = poolName(named ?? "");
  const target = host.pools.get(name);
  if (target !== undefined) return { target, pool: name };
  throw notFound(`there is no pool ${name} here, only ${[...host.pools.keys()].join(", ")}`);
}
