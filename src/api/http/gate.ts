// Room: api. Owns who gets in: by which token, how often; and what a caller without one is kept from.
import { localCaller } from "../../domain/callers.ts";
import type { Admission } from "../../service/token-book.ts";
import { FailureBrake } from "./failure-brake.ts";
import { RequestRates, StreamSlots } from "./request-rates.ts";

/** Over which door a request came. */
export type Peer =
  /** `address`: without port. */
  { readonly kind: "network"; readonly address: string | undefined } | { readonly kind: "socket" };

/** What the listener tells hono of a request, as `context.env`. */
export interface Bindings {
  readonly peer: Peer;
  /** Ends the connection only after so many seconds of silence; 0: never. Without a number: as soon as any other again. */
  readonly keepOpen?: (seconds?: number) => void;
}

export type Entry =
  | { readonly kind: "in"; readonly admission: Admission }
  | { readonly kind: "no token" }
  | { readonly kind: "too many"; readonly retryAfterSeconds: number };

export interface GateOptions {
  readonly admit: (token: string) => Admission | undefined;
  /** Of one token; default: 2,000. */
  readonly requestsPerSecond?: number;
}

/** The name that browsers send with a token as its password. */
export const user = "snapmill";

/** The mode of the UNIX socket's file says who uses it. */
const throughSocket: Admission = { caller: localCaller, holds: () => true };

export class Gate {
  readonly streams = new StreamSlots();
  readonly #admit: GateOptions["admit"];
  readonly #rates: RequestRates;
  readonly #brake = new FailureBrake();

  constructor({ admit, requestsPerSecond = 2_000 }: GateOptions) {
    this.#admit = admit;
    this.#rates = new RequestRates(requestsPerSecond);
  }

  /** From the next request on. */
  set requestsPerSecond(perSecond: number) {
    this.#rates.perSecond = perSecond;
  }

  /** The token is looked at first: whatever has failed before from the same address, a valid one does not wait. */
  async enter(request: Request, peer: Peer): Promise<Entry> {
    return await this.judge(peer.kind === "socket" ? throughSocket : this.#admissionOf(request), request, peer);
  }

  /** The same for a caller who has shown something else: a session, or a token in a form. */
  async judge(admission: Admission | undefined, request: Request, peer: Peer): Promise<Entry> {
    if (admission !== undefined) return this.#rated(admission);
    const address = peer.kind === "socket" ? undefined : peer.address;
    const outcome = await this.#brake.hold(address, request.signal);
    return outcome === "held" ? { kind: "no token" } : { kind: "too many", retryAfterSeconds: 2 };
  }

  /** Whose token it is; its caller is let in by `judge`. */
  recognise(token: string): Admission | undefined {
    return this.#admit(token);
  }

  #admissionOf(request: Request): Admission | undefined {
    const token = tokenIn(request.headers.get("authorization"));
    return token === undefined ? undefined : this.recognise(token);
  }

  #rated(admission: Admission): Entry {
    const afterSeconds = this.#rates.take(admission.caller.tokenName);
    if (afterSeconds === 0) return { kind: "in", admission };
    return { kind: "too many", retryAfterSeconds: Math.ceil(afterSeconds) };
  }
}

/** `Bearer TOKEN`, or `Basic` with the token as the password of `user`. */
export function tokenIn(header: string | null): string | undefined {
  const [, scheme = "", credentials = ""] = /^(bearer|basic) +([\x21-\x7e]+)$/i.exec(header ?? "") ?? [];
  if (scheme.toLowerCase() === "bearer") return credentials;
  if (scheme === "") return undefined;
  const pair = Buffer.from(credentials, "base64").toString();
  return pair.startsWith(`${user}:`) ? pair.slice(user.length + 1) : undefined;
}
