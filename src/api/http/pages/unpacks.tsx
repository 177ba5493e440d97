// Room: api. Owns the page "Unpacks": those that run, and the last ones that have ended.
/** @jsxImportSource hono/jsx */
import { layersDone } from "../../../domain/unpack-progress.ts";
import { Choice, NextPart } from "./list-nav.tsx";
import { Name } from "./names.tsx";
import type { Page } from "./page.ts";
import { Scrolling } from "./scrolling.tsx";
import { Sign } from "./sign.tsx";
import { clockTime } from "./text.ts";
import { bytesText, isOver, layersText, timeText, type Unpack, UnpackSign, unpackStates } from "./unpack-state.tsx";
import type { Listed, View } from "./view.ts";

const rowsPerPage = 50;

export const unpacks: Page = {
  path: "/pools/:pool/unpacks",
  title: "Unpacks",
  about:
    "The unpacks that run, with their progress, and the last ones that have ended; those of an image, or in a state",
  place: "navigation",
  reads: ["now", "listUnpacks"],
  follows: "seconds",
  show: async (view) => {
    const [running, ended] = await Promise.all([view.read("now", {}), endedOnes(view)]);
    const isFirst = view.query("cursor") === "";
    const found = together(isFirst ? (running.unpacks ?? []).filter(isWanted(view)) : [], ended.items);
    return {
      body: (
        <>
          {running.unpacks === null ? (
            <p>
              <Sign of="warn" /> What runs is not known: the queue does not answer.
            </p>
          ) : null}
          <Filter view={view} />
          <Choice
            view={view}
            name="state"
            label="Only those that are"
            options={{ "": "all", ...Object.fromEntries(unpackStates.map((state) => [state, state])) }}
          />
          {found.length > 0 ? (
            <List view={view} found={found} />
          ) : (
            <p>
              {view.query("find") === "" && view.query("state") === "" ? (
                <>
                  Nothing was unpacked yet. <code>{view.command("unpack IMAGE")}</code> does.
                </>
              ) : (
                "No unpack is like this."
              )}
            </p>
          )}
          <NextPart view={view} next={ended.next} />
        </>
      ),
    };
  },
};

/** One may have ended between the two readings. */
function together(running: readonly Unpack[], ended: readonly Unpack[]): readonly Unpack[] {
  const over = new Set(ended.map(({ operationId }) => operationId));
  return [...running.filter(({ operationId }) => !over.has(operationId)), ...ended];
}

/** Those that run are few; of the others only what is shown is read. */
function endedOnes(view: View): Promise<Listed<Unpack>> {
  const state = endedStates.find((each) => each === view.query("state"));
  const isOther = state === undefined && view.query("state") !== "";
  if (isOther) return Promise.resolve({ items: [], next: null });
  const find = view.query("find").trim();
  const given = { ...(state !== undefined && { state }), ...(find !== "" && { find }) };
  return view.list("listUnpacks", given, { limit: rowsPerPage });
}

const endedStates = ["unpacked", "failed", "cancelled"] as const;

function isWanted(view: View): (unpack: Unpack) => boolean {
  const [state, find] = [view.query("state"), view.query("find").trim().toLowerCase()];
  return (unpack) => {
    const texts = [unpack.image, unpack.operationId, ...unpack.layers.map(({ digest }) => digest)];
    return (state === "" || unpack.state === state) && texts.some((text) => text.toLowerCase().includes(find));
  };
}

const Filter = ({ view }: { readonly view: View }) => (
  <form class="filter" method="get" action={view.url.pathname}>
    <label>
      Image, layer, operation or failure
      <input type="search" name="find" value={view.query("find")} />
    </label>
    {view.query("state") === "" ? null : <input type="hidden" name="state" value={view.query("state")} />}
    <button type="submit">Show</button>
  </form>
);

interface ListProps {
  readonly view: View;
  readonly found: readonly Unpack[];
}

const List = ({ view, found }: ListProps) => (
  <Scrolling label="Table of unpacks">
    <table>
      <caption>
        First those that run, then those that have ended, the latest first. One that found all its layers in the pool is
        not among them.
      </caption>
      <thead>
        <tr>
          <th scope="col">Image</th>
          <th scope="col">State</th>
          <th scope="col">Layers done</th>
          <th scope="col" class="number">
            Read
          </th>
          <th scope="col" class="number">
            Time
          </th>
          <th scope="col" class="number">
            Started
          </th>
          <th scope="col">Failure</th>
        </tr>
      </thead>
      <tbody>
        {found.map((unpack) => (
          <Row key={unpack.operationId} view={view} unpack={unpack} />
        ))}
      </tbody>
    </table>
  </Scrolling>
);

const Row = ({ view, unpack }: { readonly view: View; readonly unpack: Unpack }) => (
  <tr>
    <th scope="row">
      <a href={view.poolPath(`unpacks/${unpack.operationId}`)}>
        <Name text={unpack.image} />
      </a>
      {unpack.platform === null ? "" : ` for ${unpack.platform}`}
    </th>
    <td>
      <UnpackSign state={unpack.state} />
    </td>
    <td>
      {isOver(unpack) || unpack.layers.length === 0 ? null : (
        <>
          <progress
            max={unpack.layers.length}
            value={layersDone(unpack.layers)}
            aria-label={`Layers of ${unpack.image}`}
          />{" "}
        </>
      )}
      {isOver(unpack) && unpack.layers.length === 0 ? "–" : layersText(unpack)}
    </td>
    <td class="number">{bytesText(unpack)}</td>
    <td class="number">{timeText(unpack, view.readAtMs)}</td>
    <td class="number">
      <Started atMs={unpack.startedAtMs} />
    </td>
    <td>
      {unpack.failure === null ? (
        "–"
      ) : (
        <>
          {unpack.failure.code}: <Name text={unpack.failure.message} />
        </>
      )}
    </td>
  </tr>
);

/** In two lines, which are not broken: there are many columns. */
function Started({ atMs }: { readonly atMs: number | null }) {
  if (atMs === null) return <>–</>;
  const [day, ...time] = clockTime(atMs).split(" ");
  return (
    <>
      {day}
      <br />
      {time.join(" ")}
    </>
  );
}
