// Room: domain. Owns who may ask over HTTP: the roles, and the names of tokens.
import { invalidArgument } from "./errors.ts";
import { quoted } from "./quoted.ts";

/** `read` looks, `operate` also changes. */
export const roles = ["read", "operate"] as const;
export type Role = (typeof roles)[number];

/** Whose request it is. */
export interface Caller {
  /** The name of the caller's token; see `dashboardToken` for the one that is always there. */
  readonly tokenName: string;
  readonly role: Role;
}

/** The token that `up` makes by itself: the dashboard's password. Its role is `operate`. */
export const dashboardToken = "dashboard";

/** Callers on the UNIX socket have no token: its file mode says who they are. */
export const localCaller: Caller = { tokenName: "socket", role: "operate" };

const reserved: readonly string[] = [dashboardToken, localCaller.tokenName];

/** Whether a caller of role `has` may do what needs `needed`. */
export const mayDo = (has: Role, needed: Role): boolean => needed === "read" || has === "operate";

/** Throws invalid_argument for what cannot be the name of a token. */
export function tokenName(text: string): string {
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/.test(text)) {
    const rule = "use 1 to 64 of letters, digits, '.', '_' and '-', with a letter or digit at both ends";
    throw invalidArgument(`token name ${quoted(text)} is not valid: ${rule}`);
  }
  if (reserved.includes(text)) throw invalidArgument(`token name ${text} is snapmill's own: choose another`);
  return text;
}
