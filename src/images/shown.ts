// Room: images. Owns how text out of an image is shown in a message: it may hold anything, and be of any length.

const maxShownLength = 120;
const plain = /^[A-Za-z0-9._:@+/-]+$/;

const cut = (text: string): string =>
  text.length > maxShownLength ? `${text.slice(0, maxShownLength)}…(${text.length} characters)` : text;

/** In quotes, with what a terminal would act on escaped, and cut. */
export const quoted = (text: string): string =>
  JSON.stringify(cut(text)).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** As it stands where it is a name like others, otherwise in quotes. */
export const shown = (text: string): string => (plain.test(text) ? cut(text) : quoted(text));
