// Room: api. Owns the document that every page is: its head, and the answer that it is sent as.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";
import { visible } from "../../../domain/quoted.ts";
import { assets } from "./assets.ts";
import type { Page } from "./page.ts";

export interface DocumentProps {
  readonly title: string;
  /** When it is fetched again by its script; undefined: it stays as it is. */
  readonly follows?: Page["follows"] | undefined;
  readonly children: Child;
}

/** Constant, and without a request of its own. */
const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M2 2h12v3H2zm0 4.5h12v3H2zM2 11h12v3H2z' fill='%23268'/%3E%3C/svg%3E";

export const Document = ({ title, follows, children }: DocumentProps) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>{`${title} – snapmill`}</title>
      <link rel="icon" href={icon} />
      <link rel="stylesheet" href={assets.style.path} />
      {follows === undefined ? null : <script type="module" src={assets.script.path} />}
    </head>
    <body data-follows={follows}>{children}</body>
  </html>
);

export interface PageAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a name from outside may contain besides letters: it would reorder or hide the text around it. */
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** `document` as HTML in which every control and format character is visible, wherever it came from. */
export async function asPage(
  document: { toString(): string | Promise<string> },
  { status = 200, headers = {} }: PageAnswer = {},
): Promise<Response> {
  const html = String(await document.toString());
  const shown = html.replace(invisible, (character) => (character === "\n" ? character : visible(character)));
  return new Response(`<!doctype html>${shown}`, {
    status,
    headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store", ...headers },
  });
}
