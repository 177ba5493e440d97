// Room: service. Owns the sessions of browsers: a signed text that names a token, and holds as long as the token does.
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Admission, TokenBook } from "./token-book.ts";

/** What a browser keeps of its signing in. */
export interface Session {
  /** Letters, digits, `.`, `_` and `-`. */
  readonly text: string;
  readonly maxAgeSeconds: number;
}

export const sessionMs = 12 * 3_600_000;

/**
 * Nothing of a session is kept here: whoever has the key can check its text, so that a restart signs nobody out. The hash of
 * the token is signed, too, and not shown: a new token of the same name does not revive the sessions of a revoked one.
 */
export class Sessions {
  readonly #key: string;
  readonly #tokens: Pick<TokenBook, "named">;
  /** Of no other snapmill: a browser sends its cookies to all ports of a host. */
  readonly cookieName: string;

  constructor(key: string, tokens: Pick<TokenBook, "named">) {
    this.#key = key;
    this.#tokens = tokens;
    this.cookieName = `snapmill-${this.sign("cookie").slice(0, 8)}`;
  }

  /** Undefined: there is no token of this name. */
  begin(tokenName: string, nowMs = Date.now()): Session | undefined {
    const hash = this.#tokens.named(tokenName)?.hash;
    if (hash === undefined) return undefined;
    const times = `${nowMs}.${nowMs + sessionMs}`;
    const seal = this.sign("session", times, tokenName, hash);
    return { text: `${times}.${seal}.${tokenName}`, maxAgeSeconds: sessionMs / 1000 };
  }

  /** Undefined: it was not made here, has expired, or its token is good no more. */
  resume(text: string): Admission | undefined {
    const [, times = "", end = "", seal = "", name = ""] = sessionPattern.exec(text) ?? [];
    const named = this.#tokens.named(name);
    if (named === undefined) return undefined;
    if (!this.isSignature(seal, "session", times, name, named.hash)) return undefined;
    const holds = () => Date.now() < Number(end) && this.#tokens.named(name)?.hash === named.hash;
    return holds() ? { caller: named.caller, holds } : undefined;
  }

  /** A signature of `parts` in this order; `purpose` keeps the signatures of one use from another. */
  sign(purpose: string, ...parts: readonly string[]): string {
    return createHmac("sha256", this.#key)
      .update(JSON.stringify([purpose, ...parts]))
      .digest("base64url");
  }

  /** Compared in constant time. */
  isSignature(shown: string, purpose: string, ...parts: readonly string[]): boolean {
    const own = Buffer.from(this.sign(purpose, ...parts));
    const other = Buffer.from(shown);
    return own.length === other.length && timingSafeEqual(own, other);
  }
}

const sessionPattern = /^(\d{13}\.(\d{13}))\.([\w-]{43})\.([A-Za-z0-9._-]{1,64})$/;
