// Room: domain. Owns what is taken out of every text that is logged or sent to a collector of traces: secrets, by their form.

const hidden = "***";

const names = "(?:password|passwd|secret|token|authorization|api[_-]?key|signature|sig|credential)";

/** Each keeps what its first group has matched. */
const secrets: readonly RegExp[] = [
  // The user and password of a URL. What follows the @ of an image is a digest.
  /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/"'<>@]*(?=@(?!sha256:))/gi,
  // HTTP's Authorization, whatever it is part of.
  /\b(authorization\\?["']?\s*[:=]\s*\\?["']?(?:[a-z]+\s+)?)[^\s"',;\\]+/gi,
  /\b((?:bearer|basic)\s+)(?=\S*[\d=])[A-Za-z0-9._~+/=-]{6,}/gi,
  // `password=…` and `&X-Amz-Signature=…`; `"token":"…"`, also inside of a JSON text.
  new RegExp(`(${names}=)[^\\s"'&,;)\\\\]+`, "gi"),
  new RegExp(`(${names}\\\\?["']\\s*:\\s*\\\\?["'])[^"'\\\\]+`, "gi"),
];

/** `text` without what looks like a credential. */
export function redacted(text: string): string {
  let left = text;
  for (const secret of secrets) left = left.replace(secret, (_all, kept: string) => kept + hidden);
  return left;
}
