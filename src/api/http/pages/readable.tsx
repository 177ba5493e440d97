// Room: api. Owns parts of a page that can fail for themselves: what could not be read says why, and all else is shown.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";
import { asSnapmillError, isSnapmillError } from "../../../domain/errors.ts";
import { inTime } from "../../../domain/timers.ts";
import { Sign } from "./sign.tsx";
import { sentence } from "./text.ts";

export type Readable<T> = { readonly found: T } | { readonly trouble: string };

/** The rest of the page is not kept waiting for longer. */
const patienceMs = 3_000;

/** Rejects only for what nobody has foreseen. */
export async function readable<T extends object>(reading: Promise<T>): Promise<Readable<T>> {
  try {
    const found = await inTime(patienceMs, reading);
    return found === undefined ? { trouble: `there was no answer within ${patienceMs / 1000} seconds` } : { found };
  } catch (error) {
    if (isSnapmillError(error, "internal")) throw error;
    return { trouble: asSnapmillError(error).message };
  }
}

export const foundIn = <T,>(read: Readable<T>): T | undefined => ("found" in read ? read.found : undefined);

/** What `show` makes of it, or why it cannot be shown. */
export const Part = <T,>({ of, show }: { readonly of: Readable<T>; readonly show: (found: T) => Child }) =>
  "found" in of ? (
    show(of.found)
  ) : (
    <p>
      <Sign of="warn">This cannot be shown now:</Sign> <bdi>{sentence(of.trouble)}</bdi>
    </p>
  );
