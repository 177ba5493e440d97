// Room: api. Owns the answers to reads: JSON with an ETag, and pages of lists with a link to the next.
import { setImmediate as turn } from "node:timers/promises";
import type { Place } from "../../../service/operation.ts";
import { cursorOf, type Page } from "./given.ts";

/** A page of a list, as it is sent. */
export interface ListedPage {
  readonly items: readonly unknown[];
  /** The path and query of the next page; null: this is the last one. */
  readonly next: string | null;
}

export const json = (
  value: unknown,
  init: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): Response =>
  new Response(JSON.stringify(value), {
    ...init,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...init.headers },
  });

/** `value` with its ETag, or 304 for a caller that has it already. */
export function readAnswer(request: Request, value: unknown): Response {
  const body = JSON.stringify(value);
  const etag = `"${Bun.hash(body).toString(36)}"`;
  const headers = { etag, "cache-control": "private, no-cache" };
  if (isKnown(request.headers.get("if-none-match"), etag)) return new Response(null, { status: 304, headers });
  return new Response(body, { headers: { ...headers, "content-type": "application/json" } });
}

function isKnown(known: string | null, etag: string): boolean {
  const tags = known?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes("*") || tags.includes(etag);
}

export interface Listing {
  readonly pages: Iterable<readonly unknown[]> | AsyncIterable<readonly unknown[]>;
  readonly placeOf: (item: unknown) => Place;
  readonly url: URL;
  readonly page: Page;
  readonly signal: AbortSignal;
}

/** One page of a list, read part by part with turns for other requests in between. */
export async function listedPage({ pages, placeOf, url, page, signal }: Listing): Promise<ListedPage> {
  const items: unknown[] = [];
  for await (const part of pages) {
    items.push(...part.slice(0, page.limit + 1 - items.length));
    if (items.length > page.limit) break;
    await turn();
    signal.throwIfAborted();
  }
  if (items.length <= page.limit) return { items, next: null };
  const shown = items.slice(0, page.limit);
  const query = new URLSearchParams(url.searchParams);
  query.set("cursor", cursorOf(placeOf(shown.at(-1))));
  return { items: shown, next: `${url.pathname}?${query.toString()}` };
}
