// Charts as they are sent: a title, a description, the numbers, and the shapes; nothing that the pages' policy refuses.
import { describe, expect, test } from "bun:test";
import { groupMarks } from "../../../../src/api/http/pages/charts/mark-groups.ts";
import { SmallChart } from "../../../../src/api/http/pages/charts/small-chart.tsx";
import { TimeChart, type TimeChartProps } from "../../../../src/api/http/pages/charts/time-chart.tsx";
import { type Area, Treemap } from "../../../../src/api/http/pages/charts/treemap.tsx";
import { counted, percentInUse } from "../../../../src/api/http/pages/charts/units.ts";
import { htmlOf, textOf } from "../page-visitor.ts";

const stepMs = 60_000;
const fromMs = Date.parse("2026-03-01T12:00:00Z");

const chart = (given: Partial<TimeChartProps>): string => {
  const { times = [0, 1, 2, 3].map((step) => fromMs + step * stepMs), ...others } = given;
  const untilMs = fromMs + 4 * stepMs;
  const usual = { id: "one", title: "Jobs", unit: counted("jobs"), fromMs, untilMs, stepMs, series: [] };
  return htmlOf(TimeChart({ ...usual, times, ...others }));
};
const count = (html: string, part: RegExp) => [...html.matchAll(new RegExp(part, "g"))].length;

describe("a chart over time", () => {
  const html = chart({
    series: [
      { label: "waiting", style: "solid", values: [1, null, 3, 2] },
      { label: "failed", style: "bars", values: [0, 4, null, 1] },
    ],
    marks: groupMarks([{ atMs: fromMs + stepMs, kind: "grow" }], 1),
  });

  test("is a picture with a title and a description, and says where it is in time", () => {
    expect(html).toContain('role="img" aria-labelledby="one-title" aria-describedby="one-desc"');
    expect(html).toContain('<title id="one-title">Jobs, jobs</title>');
    expect(textOf(/<desc.*?<\/desc>/s.exec(html)?.[0] ?? "")).toContain(
      "From 2026-03-01 12:00 UTC to 2026-03-01 12:04 UTC. waiting: from 1 to 3, at last 2. failed: from 0 to 4, at last 1. 1 marks show",
    );
  });

  test("has a gap where nothing is known: a dot and a line, and no bar", () => {
    expect(count(html, /<circle class="dot solid"/)).toBe(1);
    expect(count(html, /<polyline class="line solid"/)).toBe(1);
    expect(count(html, /<rect class="bar" x="(?!13")/)).toBe(2);
  });

  test("has the numbers in a table, each step and series", () => {
    const rows = [...html.matchAll(/<tr><th scope="row">.*?<\/tr>/gs)].map(([row]) => textOf(row).trim());
    expect(rows).toEqual(["03-01 12:00 1 0", "03-01 12:01 not known 4", "03-01 12:02 3 not known", "03-01 12:03 2 1"]);
  });

  test("has the number of each mark", () => {
    expect(html).toMatch(/<line class="mark" x1="163"/);
    expect(html).toMatch(/<text class="mark"[^>]*>1<\/text>/);
  });

  test.each<[string, (number | null)[], RegExp]>([
    ["nothing", [null, null, null, null], /Nothing was recorded\./],
    ["no point", [], /Nothing was recorded\./],
    ["one point", [5, null, null, null], /<circle class="dot dashed"/],
    ["equal points", [5, 5, 5, 5], /<polyline class="line dashed" points="84\.5,72\.3 /],
    ["only zeros", [0, 0, 0, 0], /<polyline class="line dashed" points="84\.5,204 /],
    ["huge values", [1e300, 2e300, 1, 0], /<polyline class="line dashed"/],
  ])("of %s has numbers where SVG wants numbers", (_what, values, shape) => {
    const drawn = chart({ series: [{ label: "one", style: "dashed", values }] });
    expect(drawn).toMatch(shape);
    expect(drawn.replace(/<details.*<\/details>/s, "")).not.toMatch(/NaN|Infinity|undefined/);
  });

  test("holds to the pages' policy", () => {
    expect(html).not.toMatch(/ style=|<script| on[a-z]+=/);
  });
});

describe("a small chart", () => {
  const small = (values: readonly (number | null)[]) =>
    htmlOf(
      SmallChart({
        id: "fill",
        title: "Fill",
        unit: percentInUse,
        fromMs,
        untilMs: fromMs + 4 * stepMs,
        stepMs,
        points: values.map((value, step) => ({ atMs: fromMs + step * stepMs, value })),
      }),
    );

  test("has its title, what it says, and the numbers", () => {
    const html = small([10, 20, null, 62]);
    expect(html).toContain('<title id="fill-title">Fill, % in use</title>');
    expect(html).toContain("From 10 % to 62 %, at last 62 %.");
    expect(textOf(html)).toContain("03-01 12:02 not known");
    expect(html).not.toMatch(/NaN| style=/);
  });

  test("says when there is nothing", () => {
    expect(textOf(small([null]))).toContain("Nothing was recorded.");
  });
});

describe("a treemap", () => {
  const area = (name: string, size: number, kind: Area["kind"] = "plain"): Area => ({
    kind,
    name,
    shortName: name,
    size,
    link: name,
  });
  const kindNames = { plain: "images", hatched: "shared", dotted: "unclaimed", crossed: "rest" };
  const map = (areas: readonly Area[]) =>
    htmlOf(Treemap({ id: "space", title: "Space", areas, sizeText: (size) => `${size} B`, kindNames }));

  test("names its areas in the picture and in the table, the largest first, with their shares", () => {
    const html = map([area("small", 25, "dotted"), area("large", 75)]);
    expect(html).toContain("2 areas, 100 B together. The largest: large: 75 B; small: 25 B.");
    expect(html).toContain("<title>small: 25 B</title>");
    expect(html).toContain('fill="url(#space-dotted)"');
    const rows = [...html.matchAll(/<tr><th scope="row">.*?<\/tr>/gs)].map(([row]) => textOf(row).trim());
    expect(rows).toEqual(["large images 75 B 75 %", "small unclaimed 25 B 25 %"]);
  });

  test("writes a name only where it has room, and cuts it there", () => {
    const html = map([area("a".repeat(200), 1000), area("tiny", 1)]);
    expect(html).toMatch(/<text class="label"[^>]*>a+…<\/text>/);
    expect(html).not.toMatch(/<text class="label"[^>]*>tiny/);
  });

  test("of nothing is one, and of hostile names shows them as text", () => {
    expect(map([])).not.toMatch(/NaN/);
    expect(map([area("<script>alert(1)</script>", 5)])).not.toContain("<script>");
  });
});
