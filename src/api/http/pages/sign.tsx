// Room: api. Owns signs: what is said by colour is said by a sign and a word, too.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";

const signs = {
  good: { sign: "✓", word: "good" },
  busy: { sign: "…", word: "under way" },
  warn: { sign: "!", word: "warning" },
  bad: { sign: "✗", word: "bad" },
  none: { sign: "–", word: "nothing" },
} as const;
export type SignKind = keyof typeof signs;

/** `children`: the word beside it; without, the sign is named to those who do not see it. */
export const Sign = ({ of, children }: { readonly of: SignKind; readonly children?: Child }) => (
  <span class={`sign ${of}`}>
    {children === undefined ? (
      <span role="img" aria-label={signs[of].word}>
        {signs[of].sign}
      </span>
    ) : (
      <>
        <span aria-hidden="true">{signs[of].sign}</span> {children}
      </>
    )}
  </span>
);
