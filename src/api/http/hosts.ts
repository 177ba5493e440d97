// Room: api. Owns which names this server answers to: a page's own domain may be made to lead here (DNS rebinding).
import { isIP } from "node:net";
import type { MiddlewareHandler } from "hono";
import { type Address, isLoopback } from "./address.ts";

const everyAddress: readonly string[] = ["0.0.0.0", "::"];
const hostHeader = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i;

/** The host in a Host header, without brackets and port; undefined for what is none. */
export function hostOf(header: string | undefined): string | undefined {
  const [, address, name] = hostHeader.exec(header ?? "") ?? [];
  return (address ?? name)?.toLowerCase().replace(/\.$/, "");
}

/**
 * Whether this server is meant: by the address that it serves at, a loopback name, or one of `names`. Where it serves at
 * every address of the machine, each is one: what is no name cannot be rebound.
 */
export function isOwnHost(host: string, { hostname }: Address, names: readonly string[]): boolean {
  if (host === hostname.toLowerCase() || isLoopback({ hostname: host }) || host.endsWith(".localhost")) return true;
  return names.includes(host) || (everyAddress.includes(hostname) && isIP(host) !== 0);
}

/** Refuses requests for another host than this one. */
export const onlyForThisHost =
  (address: Address, names: readonly string[]): MiddlewareHandler =>
  async (context, next) => {
    const host = hostOf(context.req.header("host"));
    if (host !== undefined && isOwnHost(host, address, names)) return await next();
    return context.text("refused: not a name of this server (see SNAPMILL_HTTP_NAMES)\n", 421);
  };
