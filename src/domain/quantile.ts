// Room: domain. Owns quantiles of a histogram, as Prometheus' histogram_quantile estimates them.

/** How many observations were at most `bound`; in ascending order, the last bound may be infinite. */
export interface CumulativeBucket {
  readonly bound: number;
  readonly count: number;
}

/**
 * The value below which a `share` of the observations is: within its bucket, they are taken as evenly spread. In the
 * infinite bucket, its lower bound. Undefined with fewer than `fewest` observations.
 */
export function quantileOf(buckets: readonly CumulativeBucket[], share: number, fewest: number): number | undefined {
  const total = buckets.at(-1)?.count ?? 0;
  if (total < fewest || total === 0) return undefined;
  const rank = share * total;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const { bound, count } = buckets[index] ?? { bound: 0, count: 0 };
  const below = buckets[index - 1] ?? { bound: 0, count: 0 };
  if (!Number.isFinite(bound)) return below.bound;
  return below.bound + ((bound - below.bound) * (rank - below.count)) / Math.max(1, count - below.count);
}
