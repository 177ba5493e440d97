// Room: api. Owns the one sentence that a page shows after a form was sent: in a signed cookie, for one page.
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Sessions } from "../../../service/sessions.ts";

export interface Flash {
  readonly kind: "done" | "begun" | "failed";
  readonly sentence: string;
  /** What can be done about a failure. */
  readonly wayOut?: string | undefined;
  readonly operationId?: string | undefined;
}

const mostCharacters = 600;
const keptSeconds = 60;

export interface FlashPlace {
  readonly sessions: Sessions;
  readonly session: string;
  readonly isSecure: boolean;
}

const nameOf = ({ sessions, isSecure }: FlashPlace): string =>
  `${isSecure ? "__Host-" : ""}${sessions.cookieName}-flash`;

export function setFlash(context: Context, place: FlashPlace, flash: Flash): void {
  const short = { ...flash, sentence: flash.sentence.slice(0, mostCharacters) };
  const text = Buffer.from(JSON.stringify(short)).toString("base64url");
  const seal = place.sessions.sign("flash", place.session, text);
  const flags = { path: "/", httpOnly: true, sameSite: "Strict", secure: place.isSecure } as const;
  setCookie(context, nameOf(place), `${text}.${seal}`, { ...flags, maxAge: keptSeconds });
}

/** Undefined: there is none. It is not there a second time. */
export function takeFlash(context: Context, place: FlashPlace): Flash | undefined {
  const found = getCookie(context, nameOf(place));
  if (found === undefined) return undefined;
  deleteCookie(context, nameOf(place), { path: "/", secure: place.isSecure });
  const [text = "", seal = ""] = found.split(".");
  if (!place.sessions.isSignature(seal, "flash", place.session, text)) return undefined;
  return JSON.parse(Buffer.from(text, "base64url").toString()) as Flash;
}
