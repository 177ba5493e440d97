// Room: api. Owns the layout of treemaps: rectangles of given areas that are as square as they can be, row after row.
// After M. Bruls, K. Huizing, J. J. van Wijk: Squarified Treemaps (2000).

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type Placed<Item> = Rectangle & { readonly item: Item };

/**
 * Fills `within` with one rectangle for each item, the largest first, its area in proportion to its size. Items without a
 * size (0, negative or not finite) have none.
 */
export function squarify<Item extends { readonly size: number }>(
  items: readonly Item[],
  within: Rectangle,
): readonly Placed<Item>[] {
  const shown = items
    .filter(({ size }) => Number.isFinite(size) && size > 0)
    .toSorted((one, other) => other.size - one.size);
  const total = shown.reduce((sum, { size }) => sum + size, 0);
  const scale = (within.width * within.height) / total;
  const placed: Placed<Item>[] = [];
  let free = within;
  for (let start = 0; start < shown.length && scale > 0; ) {
    const row = rowFrom(shown, start, scale, Math.min(free.width, free.height));
    const { rectangles, rest } = laid(row, scale, free);
    placed.push(...rectangles);
    free = rest;
    start += row.length;
  }
  return placed;
}

/** As many as make the row's worst rectangle more square. */
function rowFrom<Item extends { readonly size: number }>(
  items: readonly Item[],
  start: number,
  scale: number,
  side: number,
): readonly Item[] {
  const largest = (items[start]?.size ?? 0) * scale;
  let area = 0;
  let worst = Number.POSITIVE_INFINITY;
  let end = start;
  for (; end < items.length; end += 1) {
    const smallest = (items[end]?.size ?? 0) * scale;
    const ratio = worstRatio({ area: area + smallest, largest, smallest }, side);
    if (ratio > worst) break;
    worst = ratio;
    area += smallest;
  }
  return items.slice(start, Math.max(end, start + 1));
}

const worstRatio = (
  { area, largest, smallest }: { readonly area: number; readonly largest: number; readonly smallest: number },
  side: number,
): number => Math.max((side ** 2 * largest) / area ** 2, area ** 2 / (side ** 2 * smallest));

/** A row along the shorter side of what is free, and what is left. */
function laid<Item extends { readonly size: number }>(row: readonly Item[], scale: number, free: Rectangle) {
  const area = scale * row.reduce((sum, { size }) => sum + size, 0);
  const isColumn = free.width >= free.height;
  const side = isColumn ? free.height : free.width;
  const depth = side === 0 ? 0 : area / side;
  let along = isColumn ? free.y : free.x;
  const rectangles = row.map((item): Placed<Item> => {
    const length = depth === 0 ? 0 : (item.size * scale) / depth;
    const at = along;
    along += length;
    return isColumn
      ? { item, x: free.x, y: at, width: depth, height: length }
      : { item, x: at, y: free.y, width: length, height: depth };
  });
  const rest = isColumn
    ? { ...free, x: free.x + depth, width: Math.max(0, free.width - depth) }
    : { ...free, y: free.y + depth, height: Math.max(0, free.height - depth) };
  return { rectangles, rest };
}
