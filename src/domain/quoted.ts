// Room: domain. Owns how a caller's text is shown in messages: in quotes, and never at its full length.

const shownCharacters = 128;

/** `text` as a JSON string, cut after 128 characters. */
export const quoted = (text: string): string =>
  text.length <= shownCharacters
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, shownCharacters))}... (${text.length} characters)`;
