// Room: api. Owns the frame around every page: pools, verdict, who is signed in, search, navigation, and how old the data is.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";
import { Document } from "./document.tsx";
import type { Flash } from "./flash.ts";
import { maySee, type Page } from "./page.ts";
import { Sign } from "./sign.tsx";
import { clockTime } from "./text.ts";
import { type Verdict, VerdictLine } from "./verdict.tsx";
import type { View } from "./view.ts";

export interface FrameProps {
  readonly view: View;
  /** All there are, in the order of the navigation. */
  readonly pages: readonly Page[];
  /** Undefined: an error is shown. */
  readonly page?: Page | undefined;
  readonly heading: string;
  readonly verdict: Verdict;
  readonly flash?: Flash | undefined;
  readonly children: Child;
}

export const Frame = ({ view, pages, page, heading, verdict, flash, children }: FrameProps) => (
  <Document title={heading} follows={page && (page.follows ?? "changes")}>
    <a class="skip" href="#main">
      Skip to the content
    </a>
    <header>
      <p class="brand">
        <a href="/">snapmill</a>
      </p>
      <Pools view={view} page={page} />
      <search>
        <form class="search" action="/search" method="get">
          <label>
            <span class="visually-hidden">Search for a key, digest, device or operation ID</span>
            <input type="search" name="q" placeholder="Key, digest, device, operation ID" value={view.query("q")} />
          </label>
          {view.servedPool === undefined ? null : <input type="hidden" name="pool" value={view.servedPool} />}
          <button type="submit">Search</button>
        </form>
      </search>
      <Who view={view} />
      <Navigation view={view} pages={pages} page={page} />
    </header>
    <VerdictLine view={view} verdict={verdict} />
    <main id="main" tabindex={-1}>
      <FlashLine flash={flash} />
      <h1>{heading}</h1>
      {children}
    </main>
    <footer>
      <p>
        Data as of <time datetime={new Date(view.readAtMs).toISOString()}>{clockTime(view.readAtMs)}</time>{" "}
        <span data-live="state" />. The queues are at <a href="/queues">/queues</a>, the API at{" "}
        <a href="/v1/docs">/v1/docs</a> (user <code>snapmill</code>, a token as password).
      </p>
    </footer>
  </Document>
);

const addressOf = ({ path }: Page, pool: string | undefined): string =>
  path.includes(":pool")
    ? path.replace(":pool", encodeURIComponent(pool ?? ""))
    : `${path}${pool === undefined ? "" : `?${new URLSearchParams({ pool }).toString()}`}`;

/** The same page of each pool; from a page of one thing, which other pools do not have, the pool's first page. */
function Pools({ view, page }: Pick<FrameProps, "view" | "page">) {
  const isOfAny = page !== undefined && page.place === "navigation" && page.path !== "/";
  const path = (pool: string) => (isOfAny ? addressOf(page, pool) : `/pools/${encodeURIComponent(pool)}`);
  return (
    <nav aria-label="Pools" class="pools">
      <ul>
        {view.pools.map((pool) => (
          <li key={pool}>
            <a href={path(pool)} aria-current={pool === view.pool ? "true" : undefined}>
              {pool}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

const Navigation = ({ view, pages, page }: Pick<FrameProps, "view" | "pages" | "page">) => (
  <nav aria-label="Pages" class="pages">
    <ul>
      {pages
        .filter((each) => each.place === "navigation" && maySee(view.viewer.role, each))
        .map((each) => (
          <li key={each.path}>
            <a
              href={addressOf(each, view.servedPool)}
              title={each.about}
              aria-current={each === page ? "page" : undefined}
            >
              {each.title}
            </a>
          </li>
        ))}
    </ul>
  </nav>
);

const Who = ({ view }: Pick<FrameProps, "view">) => (
  <form class="who" method="post" action="/sign-out">
    <p>
      Token <b>{view.viewer.tokenName}</b>, role <b>{view.viewer.role}</b>
      {view.viewer.role === "read" ? " (looks, and changes nothing)" : ""}
    </p>
    <input type="hidden" name="seal" value={view.seal("sign-out")} />
    <button type="submit">Sign out</button>
  </form>
);

function FlashLine({ flash }: Pick<FrameProps, "flash">) {
  if (flash === undefined) return null;
  const { kind, sentence, wayOut, operationId } = flash;
  return (
    <div class={`flash ${kind}`} role={kind === "failed" ? "alert" : "status"} id="flash">
      <p>
        <Sign of={kind === "failed" ? "bad" : "good"} /> {sentence}
      </p>
      {wayOut === undefined ? null : <p>What to do: {wayOut}.</p>}
      {operationId === undefined ? null : (
        <p>
          Operation <a href={`/operations/${encodeURIComponent(operationId)}`}>{operationId}</a>
        </p>
      )}
    </div>
  );
}
