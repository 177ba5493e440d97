// Room: api. Owns the page "Pool": one pool's state, history and space, and what can be done to it as a whole.
/** @jsxImportSource hono/jsx */
import { type DeviceState, deviceStates } from "../../../domain/devices.ts";
import { describeHold } from "../../../domain/queues.ts";
import type { Output } from "../../../service/api.ts";
import { Name } from "./names.tsx";
import type { Page } from "./page.ts";
import { PoolActions } from "./pool-actions.tsx";
import { FillText } from "./pool-fill.tsx";
import { Charts, type History, RangeChoice, rangeIn, ranges } from "./pool-history.tsx";
import { StateSign } from "./pool-state.tsx";
import { SpaceMap } from "./pool-treemap.tsx";
import { foundIn, Part, readable } from "./readable.tsx";
import { Sign, type SignKind } from "./sign.tsx";
import { sentence } from "./text.ts";
import type { View } from "./view.ts";

export const pool: Page = {
  path: "/pools/:pool",
  title: "Pool",
  about:
    "One pool: fill and throughput over time with what was done meanwhile, space by image, devices; pause, drain, grow, repair",
  place: "navigation",
  reads: ["status", "history", "space", "poolStatus"],
  follows: "seconds",
  show: async (view) => {
    const range = rangeIn(view);
    const [status, history, space] = await Promise.all([
      readable(view.read("status", {})),
      readable(view.read("history", { range, points: ranges[range] })),
      readable(view.read("space", {})),
    ]);
    const isThin = foundIn(status)?.metadata?.driver === "devmapper";
    const thinPool = isThin ? await readable(view.read("poolStatus", {})) : undefined;
    return {
      heading: `Pool ${view.pool ?? ""}`,
      body: (
        <>
          <Part of={status} show={(found) => <Facts view={view} status={found} history={foundIn(history)} />} />
          {thinPool === undefined ? null : <Part of={thinPool} show={(found) => <ThinPool found={found} />} />}
          {view.mayRun("holdQueue") ? (
            <>
              <h2>What can be done</h2>
              <PoolActions
                view={view}
                hold={foundIn(status)?.metadata?.hold ?? null}
                thinPool={thinPool && foundIn(thinPool)}
              />
            </>
          ) : null}
          <h2>History</h2>
          <RangeChoice view={view} />
          <Part of={history} show={(found) => <Charts history={found} />} />
          <h2>Space</h2>
          <Part of={space} show={(found) => <SpaceMap view={view} space={found} />} />
        </>
      ),
    };
  },
};

interface FactsProps {
  readonly view: View;
  readonly status: Output<"status">;
  readonly history: History | undefined;
}

function Facts({ view, status, history }: FactsProps) {
  const { metadata } = status;
  const nowMs = view.readAtMs;
  const hold = metadata?.hold ?? null;
  return (
    <dl>
      <dt>State</dt>
      <dd>
        <StateSign status={status} />
        {hold === null ? null : (
          <>
            : unpacks are <bdi>{describeHold(hold)}</bdi>
          </>
        )}
      </dd>
      <dt>Data</dt>
      <dd>
        <FillText fill={metadata?.space} trend={history?.trend.data} nowMs={nowMs} />
      </dd>
      {metadata?.driver === "devmapper" ? (
        <>
          <dt>Metadata</dt>
          <dd>
            <FillText fill={metadata.metadataSpace} trend={history?.trend.metadata} nowMs={nowMs} />
          </dd>
        </>
      ) : null}
      <dt>Driver</dt>
      <dd>{metadata?.driver ?? "none yet"}</dd>
      {metadata === null ? null : (
        <>
          <dt>Snapshots</dt>
          <dd>
            {metadata.snapshots.committed} committed, {metadata.snapshots.active} active, {metadata.snapshots.view}{" "}
            views
          </dd>
          <dt>Devices</dt>
          <dd>
            <Devices devices={metadata.devices} />
          </dd>
        </>
      )}
    </dl>
  );
}

const deviceSigns: Readonly<Record<DeviceState, SignKind>> = {
  creating: "busy",
  activated: "good",
  suspending: "busy",
  deactivated: "good",
  removing: "busy",
  removed: "busy",
  faulty: "bad",
};

const Devices = ({ devices }: { readonly devices: Readonly<Partial<Record<DeviceState, number>>> }) => {
  const found = deviceStates.filter((state) => (devices[state] ?? 0) > 0);
  if (found.length === 0) return <>none</>;
  return (
    <ul class="inline">
      {found.map((state) => (
        <li key={state}>
          <Sign of={deviceSigns[state]}>{`${devices[state] ?? 0} ${state}`}</Sign>
        </li>
      ))}
    </ul>
  );
};

const ThinPool = ({ found: { deviceName, mode, trouble } }: { readonly found: Output<"poolStatus"> }) => (
  <p>
    Thin-pool <Name text={deviceName} />, {mode === null ? "not loaded" : `mode ${mode}`}.
    {trouble === null ? null : (
      <>
        {" "}
        <Sign of="bad">What is wrong:</Sign> <bdi>{sentence(trouble)}</bdi>
      </>
    )}
  </p>
);
