// Room: api. Owns the row of a pool in the overview: state, fill and its day, the worker, the queues, and what has failed.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";
import { formatDuration } from "../../../domain/units.ts";
import { layersDone } from "../../../domain/unpack-progress.ts";
import type { Output } from "../../../service/api.ts";
import { SmallChart } from "./charts/small-chart.tsx";
import { percentInUse } from "./charts/units.ts";
import { Name } from "./names.tsx";
import { FillText, percentOf } from "./pool-fill.tsx";
import { StateSign } from "./pool-state.tsx";
import { foundIn, Part, type Readable } from "./readable.tsx";
import { Sign } from "./sign.tsx";
import type { View } from "./view.ts";

export interface PoolRowProps {
  readonly view: View;
  readonly pool: string;
  readonly status: Readable<Output<"status">>;
  readonly history: Readable<Output<"history">>;
  readonly now: Readable<Output<"now">>;
}

export function PoolRow({ view, pool, status, history, now }: PoolRowProps) {
  const trend = foundIn(history)?.trend;
  const nowMs = view.readAtMs;
  const of = (show: (found: Output<"status">) => Child) => <Part of={status} show={show} />;
  return (
    <li>
      <h3>
        <a href={`/pools/${encodeURIComponent(pool)}`}>{pool}</a>
      </h3>
      <dl class="cells">
        <Cell name="State">
          {of((found) => (
            <StateSign status={found} />
          ))}
        </Cell>
        <Cell name="Data">
          {of(({ metadata }) => (
            <FillText fill={metadata?.space} trend={trend?.data} nowMs={nowMs} />
          ))}
        </Cell>
        <Cell name="Metadata">
          {of(({ metadata }) =>
            metadata !== null && metadata.driver !== "devmapper" ? (
              <span class="faint">it has none of its own</span>
            ) : (
              <FillText fill={metadata?.metadataSpace} trend={trend?.metadata} nowMs={nowMs} />
            ),
          )}
        </Cell>
        <Cell name="Data in a day">
          <Part of={history} show={(found) => <Day pool={pool} history={found} />} />
        </Cell>
        <Cell name="Worker now">
          <Part of={now} show={({ worker, atMs }) => <WorkerText worker={worker} atMs={atMs} />} />
        </Cell>
        <Cell name="Oldest waiting job">{of(({ oldestWaitingMs }) => waitingText(oldestWaitingMs))}</Cell>
        <Cell name="Running unpacks">
          <Part
            of={now}
            show={({ unpacks }) =>
              unpacks === null ? notKnown : <Unpacks pool={pool} unpacks={unpacks} nowMs={nowMs} />
            }
          />
        </Cell>
        <Cell name="Failures in a day">
          <Part of={now} show={({ failures }) => <Failures failures={failures} />} />
        </Cell>
      </dl>
    </li>
  );
}

const notKnown = <span class="faint">not known</span>;

const Cell = ({ name, children }: { readonly name: string; readonly children: Child }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

const Day = ({ pool, history: { fromMs, untilMs, stepMs, points } }: { pool: string; history: Output<"history"> }) => (
  <SmallChart
    id={`day-${pool}`}
    title={`Data of pool ${pool} in the last day`}
    unit={percentInUse}
    fromMs={fromMs}
    untilMs={untilMs}
    stepMs={stepMs}
    points={points.map(({ atMs, data }) => ({ atMs, value: data === null ? null : percentOf(data) }))}
  />
);

/** "prepare for 2.1 s, usually within 300 ms: slow" */
export function WorkerText({ worker, atMs }: Pick<Output<"now">, "worker" | "atMs">) {
  if (worker === null) return <Sign of="warn">it does not run, or nobody knows</Sign>;
  const { operation, sinceMs, usuallyWithinMs, isSlow } = worker;
  if (operation === null || sinceMs === null) return <>waits for work</>;
  const usual = usuallyWithinMs === null ? "" : `; 95 % take less than ${formatDuration(usuallyWithinMs)}`;
  return (
    <>
      {operation} for {formatDuration(Math.max(0, atMs - sinceMs))}
      {usual}
      {isSlow ? (
        <>
          {" "}
          <Sign of="warn">slow</Sign>
        </>
      ) : null}
    </>
  );
}

/** From here on it stands out, as in domain/verdict-work.ts. */
const longWaitMs = 60_000;

function waitingText(oldest: Output<"status">["oldestWaitingMs"]): Child {
  if (oldest === null) return notKnown;
  const found = (["pool", "unpack"] as const).filter((queue) => oldest[queue] > 0);
  if (found.length === 0) return <>none waits</>;
  return (
    <ul>
      {found.map((queue) => (
        <li key={queue}>
          {queue === "pool" && oldest.pool > longWaitMs ? (
            <Sign of="warn">{formatDuration(oldest.pool)}</Sign>
          ) : (
            formatDuration(oldest[queue])
          )}{" "}
          ({queue === "pool" ? "a change" : "an unpack"})
        </li>
      ))}
    </ul>
  );
}

/** More are counted. */
const shownUnpacks = 4;

interface UnpacksProps {
  readonly pool: string;
  readonly unpacks: NonNullable<Output<"now">["unpacks"]>;
  readonly nowMs: number;
}

function Unpacks({ pool, unpacks, nowMs }: UnpacksProps) {
  if (unpacks.length === 0) return <>none</>;
  const path = `/pools/${encodeURIComponent(pool)}/unpacks`;
  return (
    <ul>
      {unpacks.slice(0, shownUnpacks).map(({ operationId, image, layers, startedAtMs }) => (
        <li key={operationId}>
          <a href={`${path}/${operationId}`}>
            <Name text={image} />
          </a>
          : {layersDone(layers)} of {layers.length} layers
          {startedAtMs === null ? "" : `, for ${formatDuration(Math.max(0, nowMs - startedAtMs))}`}
        </li>
      ))}
      {unpacks.length > shownUnpacks ? (
        <li>
          and <a href={`${path}?state=running`}>{unpacks.length - shownUnpacks} more</a>
        </li>
      ) : null}
    </ul>
  );
}

const shownFailures = 4;

function Failures({ failures }: Pick<Output<"now">, "failures">) {
  if (failures.length === 0) return <Sign of="good">none</Sign>;
  const more = failures.slice(shownFailures).reduce((sum, { count }) => sum + count, 0);
  return (
    <ul>
      {failures.slice(0, shownFailures).map(({ operation, code, count }) => (
        <li key={`${operation} ${code}`}>
          {count} × {operation}: {code}
        </li>
      ))}
      {more === 0 ? null : <li>and {more} of other kinds</li>}
    </ul>
  );
}
