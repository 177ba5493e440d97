// Room: images. Owns how text out of an image is shown in a message: it may hold anything, and be of any length.

const maxShownLength = 120;
const plain = /^[A-Za-z0-9._:@+/-]+$/;

const cut = (text: string): string =>
  text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…(${text.length} characters)` : text;

/** With what a terminal would act on, or order differently, escaped: control and format characters. */
export const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });

/** In quotes, visible, and cut. */
export const quoted = (text: string): string => visible(JSON.stringify(cut(text)));

/** As it stands where it is a name like others, otherwise in quotes. */
export const shown = (text: string): string => (plain.test(text) ? cut(text) : quoted(text));
