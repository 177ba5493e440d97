// Room: domain. Owns how foreign text is shown in messages: in quotes, cut, and with control characters escaped.

const shownCharacters = 128;

/** `text` with control and format characters escaped: a terminal would execute or reorder them. */
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
