// Room: api. Owns which marks of a chart stand together: those that would be drawn on top of each other.

export interface ChartMark {
  readonly atMs: number;
  readonly kind: string;
}

export interface MarkGroup<Mark extends ChartMark> {
  /** What is written at the mark, and in the list below the chart. */
  readonly number: number;
  /** Of the first. */
  readonly atMs: number;
  readonly marks: readonly [Mark, ...Mark[]];
}

/** Marks in the order of time; none of a group is `apartMs` or more after its first. */
export function groupMarks<Mark extends ChartMark>(
  marks: readonly Mark[],
  apartMs: number,
): readonly MarkGroup<Mark>[] {
  const groups: [Mark, ...Mark[]][] = [];
  for (const mark of marks.toSorted((one, other) => one.atMs - other.atMs)) {
    const group = groups.at(-1);
    if (group !== undefined && mark.atMs - group[0].atMs < apartMs) group.push(mark);
    else groups.push([mark]);
  }
  return groups.map((marks, index) => ({ number: index + 1, atMs: marks[0].atMs, marks }));
}

/** "grow", "3 unpack, 1 cleanup". */
export function kindsIn({ marks }: Pick<MarkGroup<ChartMark>, "marks">): string {
  if (marks.length === 1) return marks[0].kind;
  const kinds = Map.groupBy(marks, ({ kind }) => kind);
  return [...kinds].map(([kind, found]) => `${found.length} × ${kind}`).join(", ");
}
