// Room: domain. Owns how text of others is shown in messages: in quotes, cut, and without what a terminal acts on.

const shownCharacters = 128;

/** With what a terminal would act on, or order differently, escaped: control and format characters. */
export const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });

/** `text` as a JSON string that is visible, cut after 128 characters. */
export const quoted = (text: string): string => {
  const shown = visible(JSON.stringify(text.slice(0, shownCharacters)));
  return text.length <= shownCharacters ? shown : `${shown}... (${text.length} characters)`;
};

const plain = /^[A-Za-z0-9._:@+/-]{1,128}$/;

/** A name as it stands where it is one like others; anything else quoted. */
export const quotedUnlessPlain = (text: string): string => (plain.test(text) ? text : quoted(text));
