// Room: service. Owns the making, listing and revoking of tokens, on the pool's host; no `up` is needed for it.
import { type Config, paths } from "../config.ts";
import { dashboardToken, type Role } from "../domain/callers.ts";
import { alreadyExists, invalidArgument, notFound, resourceExhausted } from "../domain/errors.ts";
import { prepareStateDirectory, requireOwnPlace } from "../supervisor/directories.ts";
import { readToken, replaceToken } from "../supervisor/token.ts";
import { acquireLock } from "../system/file/locks.ts";
import { hashOf, type KeptToken, maxTokens, readTokenFile, writeTokenFile } from "./token-file.ts";

export interface TokenRequest {
  readonly name: string;
  readonly role: Role;
  /** From now on; undefined: it does not expire. */
  readonly expiresInMs?: number | undefined;
}

/** What is shown of a token; the token itself is known only when it is made. */
export interface ListedToken extends Omit<KeptToken, "hash" | "createdAtMs"> {
  /** Null: not recorded (the dashboard's). */
  readonly createdAtMs: number | null;
  readonly isExpired: boolean;
}

const tokenBytes = 32;
/** Marks a token as one, for whoever finds it in a text, and for programs that look for such. */
const tokenPrefix = "snapmill_";

/**
 * Makes a token and returns it, the only time. Throws already_exists if the name is taken, also by an expired token, and
 * resource_exhausted if there are 256.
 */
export async function createToken(
  config: Config,
  { name, role, expiresInMs }: TokenRequest,
  onNotice: (sentence: string) => void,
): Promise<ListedToken & { readonly token: string }> {
  if (expiresInMs !== undefined && expiresInMs <= 0) throw invalidArgument("a token cannot expire before it is made");
  prepareStateDirectory(config, onNotice);
  const path = paths.tokens(config);
  using _turn = await acquireLock(`${path}.lock`);
  const kept = readTokenFile(path);
  if (kept.some((token) => token.name === name)) {
    throw alreadyExists(
      `there is a token named ${name}: choose another name, or 'snapmill token revoke ${name}' first`,
    );
  }
  if (kept.length >= maxTokens) {
    throw resourceExhausted(
      `there are ${maxTokens} tokens, which is the most: revoke some with 'snapmill token revoke'`,
    );
  }
  const token = tokenPrefix + Buffer.from(crypto.getRandomValues(new Uint8Array(tokenBytes))).toString("base64url");
  const createdAtMs = Date.now();
  const expiresAtMs = expiresInMs === undefined ? null : createdAtMs + expiresInMs;
  writeTokenFile(path, [...kept, { name, role, hash: hashOf(token), createdAtMs, expiresAtMs }]);
  return { name, role, createdAtMs, expiresAtMs, isExpired: false, token };
}

/** All tokens, the dashboard's first. */
export function listTokens(config: Config): readonly ListedToken[] {
  requireOwnPlace(config);
  const nowMs = Date.now();
  const kept = readTokenFile(paths.tokens(config)).map(({ name, role, createdAtMs, expiresAtMs }) => {
    return { name, role, createdAtMs, expiresAtMs, isExpired: expiresAtMs !== null && expiresAtMs <= nowMs };
  });
  if (readToken(paths.httpToken(config)) === undefined) return kept;
  const own = {
    name: dashboardToken,
    role: "operate",
    createdAtMs: null,
    expiresAtMs: null,
    isExpired: false,
  } as const;
  return [own, ...kept];
}

/**
 * Ends a token at once, also for an `up` that runs. The dashboard's is replaced by a new one, which stands in the same
 * file. Throws not_found if there is none of that name.
 */
export async function revokeToken(config: Config, name: string): Promise<"revoked" | "replaced"> {
  requireOwnPlace(config);
  if (name === dashboardToken) {
    replaceToken(paths.httpToken(config));
    return "replaced";
  }
  const path = paths.tokens(config);
  const unknown = () => notFound(`there is no token named ${name}: see 'snapmill token ls'`);
  // Before the lock, whose file needs the directory.
  if (!readTokenFile(path).some((token) => token.name === name)) throw unknown();
  using _turn = await acquireLock(`${path}.lock`);
  const kept = readTokenFile(path);
  const others = kept.filter((token) => token.name !== name);
  if (others.length === kept.length) throw unknown();
  writeTokenFile(path, others);
  return "revoked";
}
