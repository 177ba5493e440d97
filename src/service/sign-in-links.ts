// Room: service. Owns the codes of links that sign in: each good once, for ten minutes, and only in this process's memory.
import { hashOf } from "./token-file.ts";

const goodForMs = 10 * 60_000;
/** Whoever makes more loses the oldest. */
const most = 16;
const codeBytes = 24;

export class SignInLinks {
  /** By the code's hash: looking one up takes as long for a wrong one, however much of it is right. */
  readonly #endsAtMs = new Map<string, number>();

  make(nowMs = Date.now()): { readonly code: string; readonly endsAtMs: number } {
    const endsAtMs = nowMs + goodForMs;
    const code = Buffer.from(crypto.getRandomValues(new Uint8Array(codeBytes))).toString("base64url");
    this.#endsAtMs.set(hashOf(code), endsAtMs);
    const [oldest] = this.#endsAtMs.keys();
    if (this.#endsAtMs.size > most && oldest !== undefined) this.#endsAtMs.delete(oldest);
    return { code, endsAtMs };
  }

  /** Whether it was good; it is no more. */
  use(code: string, nowMs = Date.now()): boolean {
    const hash = hashOf(code);
    const endsAtMs = this.#endsAtMs.get(hash);
    this.#endsAtMs.delete(hash);
    return endsAtMs !== undefined && nowMs < endsAtMs;
  }
}
