// Room: service. Owns what the audit log keeps of a request: its fields without secrets, and not more than fits.

const hidden = "[not recorded]";
const maxTextCharacters = 512;
const maxItems = 50;
const maxDepth = 6;
/** Of the whole, as JSON. */
const maxCharacters = 4096;

/** Files with credentials are named (`authFile`); credentials themselves have no field, but a caller may invent one. */
const secretField = /passw|passphrase|secret|token|credential|authorization|cookie|privatekey/i;
/** The user and password of a URL. */
const userOfUrl = /\/\/[^/\s@]*@/g;

/** JSON of at most 4,096 characters. */
export function auditedRequest(given: unknown): string {
  const text = JSON.stringify(shown(given, 0)) ?? "null";
  return text.length <= maxCharacters ? text : JSON.stringify({ cut: text.slice(0, maxCharacters / 2) });
}

/** A text without secrets, cut where it is too long. */
export function auditedText(text: string): string {
  const safe = text.replace(userOfUrl, `//${hidden}@`);
  if (safe.length <= maxTextCharacters) return safe;
  return `${safe.slice(0, maxTextCharacters)}… (${safe.length} characters)`;
}

function shown(value: unknown, depth: number): unknown {
  if (typeof value === "string") return auditedText(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === maxDepth) return "…";
  if (Array.isArray(value)) {
    const items = value.slice(0, maxItems).map((item) => shown(item, depth + 1));
    return value.length <= maxItems ? items : [...items, `… (${value.length} items)`];
  }
  const entries = Object.entries(value);
  const fields = entries
    .slice(0, maxItems)
    .map(([name, field]) => [auditedText(name), secretField.test(name) ? hidden : shown(field, depth + 1)] as const);
  return Object.fromEntries(entries.length <= maxItems ? fields : [...fields, ["…", `${entries.length} fields`]]);
}
