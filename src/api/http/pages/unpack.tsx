// Room: api. Owns the page of one unpack: how far it is, its layers over time, and what can be done about it.
/** @jsxImportSource hono/jsx */
import { formatDuration, formatSize } from "../../../domain/units.ts";
import { counted } from "../../../domain/verdict-trouble.ts";
import { Action } from "./action.tsx";
import { Name, shortName } from "./names.tsx";
import type { Page } from "./page.ts";
import { Sign } from "./sign.tsx";
import { clockTime, sentence } from "./text.ts";
import { bytesText, isOver, layersText, timeText, type Unpack, UnpackSign, unpackWords } from "./unpack-state.tsx";
import { Layers } from "./unpack-waterfall.tsx";
import type { View } from "./view.ts";

export const unpack: Page = {
  path: "/pools/:pool/unpacks/:operationId",
  title: "Unpack",
  about: "One unpack: its layers over time, stage by stage, and what the pool's own ones saved; cancel, retry",
  place: "link",
  reads: ["getUnpack"],
  follows: "seconds",
  show: async (view) => {
    const found = await view.read("getUnpack", { operationId: view.param("operationId") });
    return {
      heading: `Unpack of ${shortName(found.image)}`,
      body: (
        <>
          <Retried view={view} found={found} />
          <Facts view={view} found={found} />
          <div class="actions">
            <Cancel view={view} found={found} />
            <Retry view={view} found={found} />
          </div>
          <h2>Layers</h2>
          <Saved found={found} />
          {found.layers.length === 0 ? (
            <p>{sentence(layersText(found))}</p>
          ) : (
            <Layers unpack={found} nowMs={view.readAtMs} />
          )}
        </>
      ),
    };
  },
};

interface Found {
  readonly view: View;
  readonly found: Unpack;
}

function Retried({ view, found: { operationId } }: Found) {
  const retry = view.query("operation");
  if (retry === "" || retry === operationId) return null;
  return (
    <p>
      It was asked for again: <a href={view.poolPath(`unpacks/${encodeURIComponent(retry)}`)}>the new unpack</a>.
    </p>
  );
}

const Facts = ({ view, found }: Found) => (
  <dl>
    <dt>Image</dt>
    <dd>
      {found.state === "unpacked" ? (
        <a href={view.poolPath("image", { name: found.image, ...(found.platform && { platform: found.platform }) })}>
          <Name text={found.image} />
        </a>
      ) : (
        <Name text={found.image} />
      )}{" "}
      for {found.platform ?? "the host's own platform"}
    </dd>
    <dt>State</dt>
    <dd>
      <UnpackSign state={found.state} />
    </dd>
    {found.failure === null ? null : (
      <>
        <dt>Failure</dt>
        <dd>
          <Sign of={found.state === "failed" ? "bad" : "none"}>{found.failure.code}</Sign>:{" "}
          <bdi class="name">{found.failure.message}</bdi>
        </dd>
      </>
    )}
    <dt>Layers done</dt>
    <dd>
      {layersText(found)}
      {found.layers.length === 0 ? "" : `; ${bytesText(found)} read`}
    </dd>
    <dt>Time</dt>
    <dd>{whenText(found, view.readAtMs)}</dd>
    <dt>Operation</dt>
    <dd>
      <a href={`/operations/${found.operationId}`}>{found.operationId}</a>
    </dd>
  </dl>
);

function whenText(found: Unpack, nowMs: number): string {
  const { queuedAtMs, startedAtMs, endedAtMs } = found;
  if (startedAtMs === null) return queuedAtMs === null ? "not begun" : `not begun, queued ${clockTime(queuedAtMs)}`;
  const waitedMs = queuedAtMs === null ? 0 : startedAtMs - queuedAtMs;
  const waited = waitedMs >= 1000 ? `, after ${formatDuration(waitedMs)} in the queue` : "";
  const until = endedAtMs === null ? "" : ` to ${clockTime(endedAtMs)}`;
  return `${timeText(found, nowMs)}, from ${clockTime(startedAtMs)}${until}${waited}`;
}

const Cancel = ({ view, found }: Found) =>
  isOver(found) ? null : (
    <Action
      view={view}
      operation="cancelUnpack"
      given={{ operationId: found.operationId }}
      label="Cancel the unpack"
      about="It ends as soon as it can, and is not resumed."
      command={view.command(`unpacks cancel ${found.operationId}`)}
      reason="optional"
      style="open"
    />
  );

/** Options of a group are for its images: one that is retried is alone. */
function Retry({ view, found }: Found) {
  if (found.state !== "failed" && found.state !== "cancelled") return null;
  const { group: _group, ...registry } = found.registry ?? {};
  return (
    <Action
      view={view}
      operation="unpack"
      given={{
        reference: found.image,
        ...(found.platform !== null && { platform: found.platform }),
        ...(Object.keys(registry).length > 0 && { registry }),
      }}
      label="Retry the unpack"
      command={view.command(unpackWords(found))}
      reason="optional"
      style="open"
      isShown
    />
  );
}

function Saved({ found: { layers, savedBytes } }: Pick<Found, "found">) {
  const cached = layers.filter(({ state }) => state === "cached").length;
  if (cached === 0) return null;
  return (
    <p>
      <Sign of="good" /> The pool had {cached} of {counted(layers.length, "layer")}: {formatSize(savedBytes)} were not
      fetched and not unpacked again.
    </p>
  );
}
