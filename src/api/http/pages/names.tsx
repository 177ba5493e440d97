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

const plainWord = /^[A-Za-z0-9_./:@%+,=-]+$/;
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** As one word of a shell. What a page does not show as it is, or a paste would execute, is escaped: `$'a\nb'`. */
export function shellWord(text: string): string {
  if (plainWord.test(text)) return text;
  if (text.search(invisible) === -1) return `'${text.replaceAll("'", "'\\''")}'`;
  return `$'${text.replace(/['\\]/g, "\\$&").replace(invisible, escaped)}'`;
}

const escaped = (character: string): string => `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, "0")}`;

/** As the last words of a command, after its options: `-- -rf` is a name. */
export const operand = (text: string): string => (text.startsWith("-") ? `-- ${shellWord(text)}` : shellWord(text));
