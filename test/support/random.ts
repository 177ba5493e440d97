// Room: test. Owns random choices that a seed repeats.

/** The given seed, or a new one. */
export const seedOf = (asked: string | undefined): number => Number(asked ?? Date.now() % 2 ** 31);

/** xorshift: numbers in [0, 1), the same for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** `count` of the list, or all when it has no more; in the list's order. */
export function chooseSome<T>(list: readonly T[], count: number, random: () => number): T[] {
  const ranked = list.map((item, index) => ({ item, index, rank: random() }));
  const chosen = ranked.sort((one, other) => one.rank - other.rank).slice(0, count);
  return chosen.sort((one, other) => one.index - other.index).map(({ item }) => item);
}
