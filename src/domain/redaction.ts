// Room: domain. Owns what is taken out of every text that is logged or sent to a collector of traces: secrets, by their form.

const hidden = "***";

const names = "(?:password|passwd|secret|token|authorization|api[_-]?key|access[_-]?key|signature|sig|credential)";
/** `sig=3` may be anyone's label, and is a secret as a parameter of a URL. */
const assigned =
  "(?:password|passwd|secret|token|authorization|api[_-]?key|access[_-]?key|(?:[?&;]|x-amz-)(?:signature|sig|credential))";

/** Each keeps what its first group has matched. */
const secrets: readonly RegExp[] = [
  // The user and password of a URL, up to the last @ of its first part. What follows the @ of an image is a digest.
  /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/"'<>]{1,512}(?=@(?!sha\d+:))/gi,
  // A password with a slash. A number before the slash is the port of a host, whose path may have an @.
  /\b([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/?#:@"'<>[\]]{1,256}:(?!\d{1,5}[/?#])|:)[^\s"'<>@]{1,256}(?=@(?!sha\d+:))/gi,
  // HTTP's Authorization, whatever it is part of.
  /\b(authorization\\?["']?\s*[:=]\s*\\?["']?(?:[a-z]+\s+)?)[^\s"',;\\]+/gi,
  /\b((?:bearer|basic)\s+)(?=\S*[\d=])[A-Za-z0-9._~+/=-]{6,}/gi,
  // `password=…` and `&X-Amz-Signature=…`; `"token":"…"` with whatever is escaped in it, also inside of a JSON text.
  new RegExp(`(${assigned}=)[^\\s"'&,;)\\\\]+`, "gi"),
  new RegExp(`(${names}"\\s*:\\s*")(?:[^"\\\\]|\\\\.)+`, "gi"),
  new RegExp(`(${names}\\\\"\\s*:\\s*\\\\")(?:\\\\{3}"|[^\\\\]|\\\\(?!"))+`, "gi"),
  new RegExp(`(${names}'\\s*:\\s*')[^']+`, "gi"),
];

/** `text` without what looks like a credential. */
export function redacted(text: string): string {
  let left = text;
  for (const secret of secrets) left = left.replace(secret, (_all, kept: string) => kept + hidden);
  return left;
}
