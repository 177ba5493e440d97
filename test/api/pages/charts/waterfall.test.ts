// Waterfalls as they are sent: bars in lanes along one time, told apart by more than colour.
import { describe, expect, test } from "bun:test";
import { durationTicks } from "../../../../src/api/http/pages/charts/scale.ts";
import { stageLooks } from "../../../../src/api/http/pages/charts/stage-looks.tsx";
import { type Bar, Waterfall } from "../../../../src/api/http/pages/charts/waterfall.tsx";
import { textOf } from "../page-visitor.ts";

const bar = (stage: keyof typeof stageLooks, startMs: number, endMs: number | null): Bar => ({
  look: stageLooks[stage],
  startMs,
  endMs,
  about: stage,
});
const asHtml = (drawn: { toString(): string | Promise<string> }): string => drawn.toString() as string;
const draw = (rows: Parameters<typeof Waterfall>[0]["rows"], untilMs = 1_000): string =>
  asHtml(Waterfall({ id: "w", title: "Layers", description: "Two layers.", fromMs: 0, untilMs, rows }));

interface Drawn {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly isOpen: boolean;
}
const barsIn = (html: string): Drawn[] =>
  [...html.matchAll(/<rect class="stage \w+( open)?" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"/g)].map(
    ([, open, x, y, width]) => ({ x: Number(x), y: Number(y), width: Number(width), isOpen: open !== undefined }),
  );

describe("a waterfall", () => {
  test("is a picture with a title and a description, whose names are text", () => {
    const html = draw([{ label: "<script>", bars: [] }]);
    expect(html).toContain('role="img" aria-labelledby="w-title" aria-describedby="w-desc"');
    expect(html).toContain('<desc id="w-desc">Two layers.</desc>');
    expect(html).not.toContain("<script>");
    expect(textOf(html)).toContain("0 200 ms 400 ms 600 ms 800 ms 1.0 s");
    expect(html).not.toContain(" style=");
  });

  test("has bars where they were in time, one under way up to now, and the shortest to be seen", () => {
    const html = draw([{ label: "1", bars: [bar("prepare", 0, 1), bar("fetch", 500, null), bar("write", 600, 900)] }]);
    const [prepare, fetch, write] = barsIn(html);
    expect(prepare).toMatchObject({ x: 4, width: 2, isOpen: false });
    expect(fetch).toMatchObject({ x: 320, width: 316, isOpen: true });
    expect(write?.x).toBeGreaterThan(320);
    expect((write?.x ?? 0) + (write?.width ?? 0)).toBeLessThan(636);
  });

  test("gives each kind the same lane in every row, and no room to lanes that none uses", () => {
    const html = draw([
      { label: "1", bars: [bar("fetch", 0, 100)] },
      { label: "2", bars: [bar("prepare", 100, 200), bar("fetch", 200, 300)] },
    ]);
    const [first, prepare, second] = barsIn(html).map(({ y }) => y);
    const [rowOne = 0, rowTwo = 0] = [...html.matchAll(/<text class="label" x="4" y="(\d+)"/g)].map(([, y]) =>
      Number(y),
    );
    expect((first ?? 0) - rowOne).toBe((second ?? 0) - rowTwo);
    expect((second ?? 0) - (prepare ?? 0)).toBe(14);
  });

  test("stays within the picture, whatever the times", () => {
    const html = draw([
      { label: "1", bars: [bar("wait", -50, 10), bar("commit", 990, 5_000), bar("flush", 1_000, null)] },
    ]);
    for (const { x, width } of barsIn(html)) {
      expect(x).toBeGreaterThanOrEqual(4);
      expect(x + width).toBeLessThanOrEqual(637);
    }
    expect(draw([{ label: "1", bars: [bar("wait", 0, null)] }], 0)).not.toContain("NaN");
  });
});

test("no two stages have the same pattern, and those that overlap have lanes of their own", () => {
  const looks = Object.values(stageLooks);
  expect(new Set(looks.map(({ pattern }) => pattern)).size).toBe(looks.length);
  const { prepare, mount, fetch, inflate, write } = stageLooks;
  expect(new Set([prepare, mount, fetch, inflate, write].map(({ lane }) => lane)).size).toBe(5);
});

test.each([
  [1, [0, 1]],
  [7, [0, 2, 4, 6]],
  [7_900, [0, 2_000, 4_000, 6_000]],
  [75_000, [0, 15_000, 30_000, 45_000, 60_000, 75_000]],
  [3_600_000 * 24 * 30, [0, 6, 12, 18, 24, 30].map((days) => days * 86_400_000)],
])("round durations up to %d ms", (spanMs, expected) => {
  expect(durationTicks(spanMs)).toEqual(expected);
});
