// The layout of treemaps: areas in proportion, without overlap, as square as they can be.
import { describe, expect, test } from "bun:test";
import { type Placed, type Rectangle, squarify } from "../../../../src/api/http/pages/charts/squarify.ts";
import { randomOf } from "../../../support/random.ts";

const sized = (...sizes: number[]) => sizes.map((size) => ({ size }));
const within: Rectangle = { x: 10, y: 20, width: 6, height: 4 };
const ratio = ({ width, height }: Rectangle) => Math.max(width / height, height / width);

/** Fails unless the rectangles fill the place in proportion, none on another. */
function expectFilled(placed: readonly Placed<{ size: number }>[], place: Rectangle, total: number): void {
  const area = place.width * place.height;
  const near = 1e-6 * Math.max(place.width, place.height);
  for (const each of placed) {
    expect(each.width * each.height).toBeCloseTo((area * each.item.size) / total, 4);
    expect(each.x).toBeGreaterThanOrEqual(place.x - near);
    expect(each.y).toBeGreaterThanOrEqual(place.y - near);
    expect(each.x + each.width).toBeLessThanOrEqual(place.x + place.width + near);
    expect(each.y + each.height).toBeLessThanOrEqual(place.y + place.height + near);
  }
  for (const [index, one] of placed.entries()) {
    for (const other of placed.slice(index + 1)) {
      const across = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
      const down = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
      expect(across > near && down > near).toBe(false);
    }
  }
}

describe("a treemap", () => {
  test("is that of the paper for its example", () => {
    const placed = squarify(sized(6, 6, 4, 3, 2, 2, 1), within);
    expectFilled(placed, within, 24);
    const [first, second, third] = placed;
    expect(first).toMatchObject({ x: 10, y: 20, width: 3, height: 2 });
    expect(second).toMatchObject({ x: 10, y: 22, width: 3, height: 2 });
    expect(third?.width).toBeCloseTo(12 / 7);
    expect(third?.height).toBeCloseTo(7 / 3);
    expect(Math.max(...placed.map(ratio))).toBeLessThan(3);
  });

  test("has one rectangle for one item, whatever its size", () => {
    for (const size of [1e-9, 1, 1e18]) {
      expect(squarify(sized(size), within)).toEqual([{ ...within, item: { size } }]);
    }
  });

  test("has nothing for what has no size, and nothing at all for nothing", () => {
    expect(squarify([], within)).toEqual([]);
    expect(squarify(sized(0, -1, Number.NaN, Number.POSITIVE_INFINITY), within)).toEqual([]);
    expect(squarify(sized(0, 3), within)).toHaveLength(1);
    expect(squarify(sized(1, 2), { ...within, width: 0 })).toEqual([]);
  });

  test("cuts equal sizes into equal squares", () => {
    const placed = squarify(sized(...Array.from({ length: 16 }, () => 5)), { x: 0, y: 0, width: 8, height: 8 });
    expect(placed).toHaveLength(16);
    for (const each of placed) expect(ratio(each)).toBeCloseTo(1);
  });

  test("keeps its word for sizes of any spread", () => {
    const random = randomOf(7);
    const below = (limit: number) => Math.floor(random() * limit);
    for (let round = 0; round < 50; round += 1) {
      const sizes = Array.from({ length: 1 + below(60) }, () => 2 ** below(30) + below(1000));
      const place = { x: 0, y: 0, width: 640, height: 100 + below(400) };
      const placed = squarify(sized(...sizes), place);
      expect(placed).toHaveLength(sizes.length);
      expectFilled(
        placed,
        place,
        sizes.reduce((sum, size) => sum + size, 0),
      );
    }
  });
});
