// Room: service. Owns the recognition of tokens: which caller a token belongs to, as the files say now.
import { timingSafeEqual } from "node:crypto";
import { statSync } from "node:fs";
import { type Caller, dashboardToken } from "../domain/callers.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { readToken } from "../supervisor/token.ts";
import { hashOf, readTokenFile } from "./token-file.ts";

export interface TokenPlaces {
  /** The hashes. */
  readonly tokens: string;
  /** The dashboard's token. */
  readonly httpToken: string;
}

/** A caller whose token was good when it was shown. */
export interface Admission {
  readonly caller: Caller;
  /** Whether the token is still good: for requests that last. */
  readonly holds: () => boolean;
}

export interface NamedToken {
  readonly caller: Caller;
  readonly hash: string;
}

interface Known {
  readonly caller: Caller;
  readonly hash: Buffer;
  readonly expiresAtMs: number;
}

/** The longest token that is looked at: one of the operator's own may be this long. */
const maxTokenCharacters = 1024;

export class TokenBook {
  readonly #places: TokenPlaces;
  readonly #onTrouble: (sentence: string) => void;
  #known: readonly Known[] = [];
  #stamp = "";

  /** `onTrouble` is told of a file that cannot be read: until it can, its tokens are refused. */
  constructor(places: TokenPlaces, onTrouble: (sentence: string) => void) {
    this.#places = places;
    this.#onTrouble = onTrouble;
  }

  /** Undefined: no such token, or one that has expired. All hashes are compared, whichever matches. */
  admit(token: string): Admission | undefined {
    if (token.length > maxTokenCharacters) return undefined;
    const hash = Buffer.from(hashOf(token), "hex");
    const found = this.#find(hash);
    return found && { caller: found.caller, holds: () => this.#find(hash) !== undefined };
  }

  /** The token of this name, as long as it is good; `hash` tells it from others that had or will have the name. */
  named(name: string): NamedToken | undefined {
    const nowMs = Date.now();
    const found = this.#current().find(({ caller, expiresAtMs }) => caller.tokenName === name && expiresAtMs > nowMs);
    return found && { caller: found.caller, hash: found.hash.toString("hex") };
  }

  #find(hash: Buffer): Known | undefined {
    const nowMs = Date.now();
    const matching = this.#current().filter((known) => timingSafeEqual(known.hash, hash));
    return matching.find(({ expiresAtMs }) => expiresAtMs > nowMs);
  }

  /** The files are looked at with each request, so that a revocation holds at once. */
  #current(): readonly Known[] {
    const stamp = `${stampOf(this.#places.tokens)} ${stampOf(this.#places.httpToken)}`;
    if (stamp === this.#stamp) return this.#known;
    this.#known = [...this.#tolerant(() => dashboardOf(this.#places)), ...this.#tolerant(() => othersOf(this.#places))];
    this.#stamp = stamp;
    return this.#known;
  }

  #tolerant(read: () => readonly Known[]): readonly Known[] {
    try {
      return read();
    } catch (error) {
      this.#onTrouble(`tokens are refused: ${asSnapmillError(error).message}`);
      return [];
    }
  }
}

function dashboardOf({ httpToken }: TokenPlaces): readonly Known[] {
  const token = readToken(httpToken);
  if (token === undefined) return [];
  const caller: Caller = { tokenName: dashboardToken, role: "operate" };
  return [{ caller, hash: Buffer.from(hashOf(token), "hex"), expiresAtMs: Number.POSITIVE_INFINITY }];
}

const othersOf = ({ tokens }: TokenPlaces): readonly Known[] =>
  readTokenFile(tokens).map(({ name, role, hash, expiresAtMs }) => ({
    caller: { tokenName: name, role },
    hash: Buffer.from(hash, "hex"),
    expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY,
  }));

/** Differs for each state of the file: a replaced one is another inode, and a changed one has another time. */
function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  return found === undefined ? "none" : `${found.ino}:${found.ctimeNs}:${found.size}:${found.mode}`;
}
