// Room: api. Owns what is wider than a narrow window: it scrolls by itself, by keyboard as well.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";

/** Around a table; `label` names it to those who come to it by keyboard. */
export const Scrolling = ({ label, children }: { readonly label: string; readonly children: Child }) => (
  // What scrolls must be reachable by keyboard (WCAG 2.1.1).
  <section class="table" aria-label={label} tabindex={0}>
    {children}
  </section>
);
