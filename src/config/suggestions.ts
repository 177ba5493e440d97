// Room: config. Owns what a user may have meant by a key that does not exist.

/** As many as a third of a key's letters may differ. */
const mostDifferent = (key: string): number => Math.max(2, Math.floor(key.length / 3));

/** The one of `known` that looks most like `key`; undefined: none is near. */
export function nearest(key: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: distanceBetween(key, candidate) }))
    .sort((one, other) => one.distance - other.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= mostDifferent(key) ? best.candidate : undefined;
}

/** How many characters must be inserted, deleted or replaced to make one from the other. */
function distanceBetween(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [row, character] of Array.from(one).entries()) {
    const current = [row + 1];
    for (const [column, counterpart] of Array.from(other).entries()) {
      const replaced = (previous[column] ?? 0) + (character === counterpart ? 0 : 1);
      current.push(Math.min(replaced, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return previous.at(-1) ?? 0;
}
