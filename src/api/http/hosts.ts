// Room: api. Owns the host names that this server accepts: a hostile page's domain may resolve to it (DNS rebinding).
import { isIP } from "node:net";
import type { MiddlewareHandler } from "hono";
import { type Address, isLoopback } from "../../domain/http-address.ts";
import { refusal } from "./refusal.ts";

const everyAddress: readonly string[] = ["0.0.0.0", "::"];
const hostHeader = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i;

/** The host in a Host header, without brackets and port; undefined if the header is invalid. */
export function hostOf(header: string | undefined): string | undefined {
  const [, address, name] = hostHeader.exec(header ?? "") ?? [];
  return (address ?? name)?.toLowerCase().replace(/\.$/, "");
}

/**
 * Whether `host` means this server: its address, a loopback name, or one of `names`. If it listens on all addresses,
 * any IP address is accepted: only names can be rebound.
 */
export function isOwnHost(host: string, { hostname }: Address, names: readonly string[]): boolean {
  if (host === hostname.toLowerCase() || isLoopback({ hostname: host }) || host.endsWith(".localhost")) return true;
  return names.includes(host) || (everyAddress.includes(hostname) && isIP(host) !== 0);
}

/** Refuses requests that are addressed to another host. */
export const onlyForThisHost =
  (address: Address, names: () => readonly string[]): MiddlewareHandler =>
  async (context, next) => {
    const host = hostOf(context.req.header("host"));
    if (host !== undefined && isOwnHost(host, address, names())) return await next();
    return refusal(context, "misdirected", "this server does not have that name (see SNAPMILL_HTTP_NAMES)");
  };
