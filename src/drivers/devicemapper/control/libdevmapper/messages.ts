// Room: drivers. Owns the messages between the thread that calls libdevmapper and the main thread.
import type { Libdevmapper } from "./calls.ts";

export type DmVerb = Exclude<keyof Libdevmapper, symbol>;

/** A method of Libdevmapper with its arguments. */
export interface DmCall {
  readonly verb: DmVerb;
  readonly args: readonly unknown[];
}

/** `open` comes first and loads the library; `close` gives it back, and nothing may follow it. */
export type ToDmThread = "open" | DmCall | "close";

export type DmReply =
  /** The library is loaded. */
  | { readonly kind: "ready" }
  /** It could not be, for a reason as encodeFailure has it. */
  | { readonly kind: "unusable"; readonly failure: string }
  | { readonly kind: "closed" }
  | { readonly kind: "answered"; readonly answer: unknown }
  /** Device-mapper or the library refused: see LibdevmapperError. */
  | { readonly kind: "refused"; readonly errno: string | undefined; readonly said: readonly string[] }
  /** Anything else. */
  | { readonly kind: "failed"; readonly failure: string };
