// Room: jobs. Owns the meaning of a Redis URL. Does not load the client: a command that only names Redis does without.
import type { RedisOptions } from "ioredis";
import { invalidArgument } from "../../domain/errors.ts";

/** Without an option whose type in ioredis 6.0 does not fit its own constructor. */
export type ConnectionOptions = Omit<RedisOptions, "replyMapping">;

/**
 * What ioredis needs to know of `url`: `redis://[user:password@]host[:port][/db]`, `rediss://…` (TLS) or
 * `unix:///path/of/redis.sock[?db=N]` (the path as it is, nothing in it is escaped). Otherwise invalid_argument.
 */
export function redisOptions(url: string): ConnectionOptions {
  const [, path, db = "0"] = /^unix:\/\/(\/.+?)(?:\?db=(\d+))?$/.exec(url) ?? [];
  if (path !== undefined) return { path, db: Number(db) };
  const parsed = URL.parse(url);
  const isUnderstood = parsed !== null && ["redis:", "rediss:"].includes(parsed.protocol) && hasOnlyDatabase(parsed);
  if (!isUnderstood) {
    throw invalidArgument(
      `Redis URL ${JSON.stringify(redisLabel(url))} is not valid: use redis://host:port, rediss://host:port or unix:///path`,
    );
  }
  return {
    host: parsed.hostname === "" ? "127.0.0.1" : parsed.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: parsed.port === "" ? 6379 : Number(parsed.port),
    db: Number(parsed.pathname.slice(1)),
    ...(parsed.username === "" ? {} : { username: decoded(parsed.username, url) }),
    ...(parsed.password === "" ? {} : { password: decoded(parsed.password, url) }),
    ...(parsed.protocol === "rediss:" ? { tls: {} } : {}),
  };
}

/** Nothing but the database after the host: otherwise a `?` or `#` in a password would cut the host short. */
const hasOnlyDatabase = ({ pathname, search, hash }: URL): boolean =>
  /^(\/\d*)?$/.test(pathname) && search === "" && hash === "";

function decoded(text: string, url: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidArgument(
      `Redis URL ${JSON.stringify(redisLabel(url))}: its user or password has a % that is no escape: write it as %25`,
    );
  }
}

/** `url` for messages: without its user and password, whatever characters they have, and without a query. */
export function redisLabel(url: string): string {
  const [, scheme = "", rest = ""] = /^(rediss?:\/\/)(.*)$/is.exec(url) ?? [];
  if (url.startsWith("unix:///")) return url.replace(/\?(?!db=\d+$).*$/s, "");
  if (scheme === "") return url.replace(/^.*@/s, "");
  return scheme + rest.replace(/^.*@/s, "").replace(/[?#].*$/s, "");
}
