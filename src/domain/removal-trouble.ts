// Room: domain. Owns what the errors of removals have in common: devices that stay for one reason are told together.

/** Of a removal of which no attempt has failed. */
export const noTrouble = "no attempt has failed yet";

const mostCharacters = 200;
const worker = /^device \S+ cannot be removed yet: /;
/** Behind it stands who holds the device, which is told apart. */
const use = /( is in use): .*$/s;

/** What `lastError` says of any device: without its name, its path, numbers and who holds it. */
export function troubleOf(device: string, lastError: string | null): string {
  if (lastError === null) return noTrouble;
  const told = lastError
    .replace(worker, "")
    .replace(use, "$1")
    .replaceAll(device, "…")
    .replaceAll(/ \(\/dev\/[^\s)]*\)/g, "")
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d+/g, "…")
    .replace(/^device … is/, "the device is");
  return told.length <= mostCharacters ? told : `${told.slice(0, mostCharacters)}…`;
}
