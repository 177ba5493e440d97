// Room: api. Owns the history of a pool on its page: fill, throughput, work and failures, with what was done meanwhile.
/** @jsxImportSource hono/jsx */
import type { Output } from "../../../service/api.ts";
import { marksApartMs } from "./charts/axes.tsx";
import { groupMarks, kindsIn, type MarkGroup } from "./charts/mark-groups.ts";
import { type Series, TimeChart } from "./charts/time-chart.tsx";
import { bytesPerSecond, counted, percentInUse } from "./charts/units.ts";
import { Name } from "./names.tsx";
import { type Fill, percentOf } from "./pool-fill.tsx";
import { clockTime } from "./text.ts";
import type { View } from "./view.ts";

export type History = Output<"history">;
type Mark = History["marks"][number];
type Point = History["points"][number];

/** A step is a minute, a quarter of an hour, a day. */
export const ranges = { hour: 60, day: 96, quarter: 90 } as const;
export type Range = keyof typeof ranges;
const rangeNames: Readonly<Record<Range, string>> = { hour: "The last hour", day: "A day", quarter: "90 days" };

export const rangeIn = (view: View): Range => {
  const asked = view.query("range");
  return Object.hasOwn(ranges, asked) ? (asked as Range) : "day";
};

export const RangeChoice = ({ view }: { readonly view: View }) => (
  <nav aria-label="Time that is shown">
    <ul>
      {(Object.keys(ranges) as Range[]).map((range) => (
        <li key={range}>
          <a href={view.here({ range })} aria-current={range === rangeIn(view) ? "true" : undefined}>
            {rangeNames[range]}
          </a>
        </li>
      ))}
    </ul>
  </nav>
);

export const Charts = ({ history }: { readonly history: History }) => {
  const { fromMs, untilMs, stepMs, points } = history;
  const marks = groupMarks(history.marks, marksApartMs(fromMs, untilMs));
  const usual = { fromMs, untilMs, stepMs, marks, times: points.map(({ atMs }) => atMs) };
  const of = (label: string, style: Series["style"], value: (point: Point) => number | null): Series => ({
    label,
    style,
    values: points.map(value),
  });
  const hasMetadata = points.some(({ metadata }) => metadata !== null);
  const share = (fill: Fill | null) => (fill === null ? null : percentOf(fill));
  return (
    <>
      <div class="charts">
        <TimeChart
          {...usual}
          id="fill"
          title="Fill"
          unit={percentInUse}
          series={[
            of("data", "solid", ({ data }) => share(data)),
            ...(hasMetadata ? [of("metadata", "dashed", ({ metadata }) => share(metadata))] : []),
          ]}
        />
        <TimeChart
          {...usual}
          id="throughput"
          title="Throughput"
          unit={bytesPerSecond}
          series={[
            of("unpacked, without compression", "solid", ({ unpackedBytesPerSecond }) => unpackedBytesPerSecond),
          ]}
        />
        <TimeChart
          {...usual}
          id="work"
          title="Work"
          unit={counted("the most in each step")}
          series={[
            of("running unpacks", "solid", ({ runningUnpacks }) => runningUnpacks),
            of("waiting jobs", "dashed", ({ waitingJobs }) => waitingJobs),
            of("removals that wait or were given up", "dotted", removals),
          ]}
        />
        <TimeChart
          {...usual}
          id="failures"
          title="Failures and restarts"
          unit={counted("in each step")}
          series={[
            of("failed operations", "bars", ({ failures }) =>
              Object.values(failures).reduce((one, other) => one + other, 0),
            ),
            of("restarted workers", "dotted", ({ restarts }) => restarts),
          ]}
        />
      </div>
      <Marks groups={marks} />
    </>
  );
};

const removals = ({ pendingRemovals, failedRemovals }: Point): number | null =>
  pendingRemovals === null && failedRemovals === null ? null : (pendingRemovals ?? 0) + (failedRemovals ?? 0);

const shownOfGroup = 5;

/** What the numbers in the charts stand for. */
const Marks = ({ groups }: { readonly groups: readonly MarkGroup<Mark>[] }) =>
  groups.length === 0 ? (
    <p class="faint">Nothing was done in this time that would be marked in the charts.</p>
  ) : (
    <>
      <h3>What was done</h3>
      <p class="faint">The numbers are those in the charts.</p>
      <ol class="marks">
        {groups.map((group) => (
          <li key={group.number}>
            {group.marks.length === 1 ? null : (
              <>
                {kindsIn(group)}, from {clockTime(group.atMs)}:
              </>
            )}
            <ul>
              {group.marks.slice(0, shownOfGroup).map((mark) => (
                <li>
                  <MarkText mark={mark} />
                </li>
              ))}
              {group.marks.length > shownOfGroup ? <li>and {group.marks.length - shownOfGroup} more</li> : null}
            </ul>
          </li>
        ))}
      </ol>
    </>
  );

const MarkText = ({ mark: { kind, atMs, subject, token, operationId, code } }: { readonly mark: Mark }) => (
  <>
    {clockTime(atMs)}: {operationId === null ? kind : <a href={`/operations/${operationId}`}>{kind}</a>}
    {subject === null ? null : (
      <>
        {" "}
        <Name text={subject} />
      </>
    )}
    {token === null ? "" : ` with token ${token}`}
    {code === "ok" ? "" : `: ${code}`}
  </>
);
