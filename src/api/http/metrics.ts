// Room: api. Owns /metrics: the service's metrics in Prometheus's format.
import type { Context, MiddlewareHandler } from "hono";
import { AggregatorRegistry } from "prom-client";
import { isLoopback } from "../../domain/http-address.ts";
import type { MetricReading } from "../../service/metrics-reader.ts";
import type { PagesEnv } from "./protection.ts";

/** The readings of several pools, and of `up` itself, in Prometheus's text format, and its media type. */
export async function prometheusText(
  readings: readonly (readonly MetricReading[])[],
): Promise<{ text: string; type: string }> {
  const registry = AggregatorRegistry.aggregate(
    readings.map((ofOne) =>
      ofOne.map(({ name, help, kind, samples }) => ({ name, help, type: kind, values: samples, aggregator: "sum" })),
    ),
  );
  return { text: await registry.metrics(), type: registry.contentType };
}

/** Lets programs of this machine in without `guard`, as long as `isOpen`. */
export const openHere =
  (isOpen: () => boolean, guard: MiddlewareHandler<PagesEnv>): MiddlewareHandler<PagesEnv> =>
  async (context, next) =>
    isOpen() && isFromHere(context) ? await next() : await guard(context, next);

/** A proxy on this machine hands on the requests of others. */
function isFromHere(context: Context<PagesEnv>): boolean {
  const { peer } = context.env;
  const isHandedOn = ["forwarded", "x-forwarded-for", "via"].some((name) => context.req.header(name) !== undefined);
  if (isHandedOn) return false;
  if (peer.kind === "socket") return true;
  return peer.address !== undefined && isLoopback({ hostname: peer.address.replace(/^::ffff:/, "") });
}
