// Room: api. Owns how names from outside stand on pages: apart from the text around them, short where they are digests.
/** @jsxImportSource hono/jsx */

/** `bdi`: a name that is written from right to left reorders nothing around it. */
export const Name = ({ text }: { readonly text: string }) => (
  <bdi class="name" title={shortName(text) === text ? undefined : text}>
    {shortName(text)}
  </bdi>
);

const shownDigits = 12;

/** A digest with its first digits, as the command line shows it; any other text as it is. */
export const shortName = (text: string): string =>
  text.replace(/\bsha256:([0-9a-f]{64})\b/g, (_digest, hex: string) => `sha256:${hex.slice(0, shownDigits)}`);

/** As one word of a shell. */
export const shellWord = (text: string): string =>
  /^[A-Za-z0-9_./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
