// Room: api. Owns the page "Unpacks": those that run, and the last ones that have ended.
/** @jsxImportSource hono/jsx */
import { layersDone } from "../../../domain/unpack-progress.ts";
import { Choice, Pager } from "./list-nav.tsx";
import { Name } from "./names.tsx";
import type { Page } from "./page.ts";
import { Scrolling } from "./scrolling.tsx";
import { Sign } from "./sign.tsx";
import { clockTime } from "./text.ts";
import { bytesText, isOver, layersText, timeText, type Unpack, UnpackSign, unpackStates } from "./unpack-state.tsx";
import type { View } from "./view.ts";

const rowsPerPage = 50;
/** More are not kept. */
const mostEnded = 1_000;

export const unpacks: Page = {
  path: "/pools/:pool/unpacks",
  title: "Unpacks",
  about:
    "The unpacks that run, with their progress, and the last ones that have ended; those of an image, or in a state",
  place: "navigation",
  reads: ["now", "listUnpacks"],
  follows: "seconds",
  show: async (view) => {
    const [running, ended] = await Promise.all([
      view.read("now", {}),
      view.list("listUnpacks", {}, { limit: mostEnded }),
    ]);
    const all = together(running.unpacks ?? [], ended.items);
    const found = all.filter(matching(view.query("find"), view.query("state")));
    const pages = Math.max(1, Math.ceil(found.length / rowsPerPage));
    const page = Math.min(Math.max(1, Math.trunc(Number(view.query("page"))) || 1), pages);
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
          {found.length === 0 ? (
            <p>
              {all.length === 0 ? (
                <>
                  Nothing was unpacked yet. <code>{view.command("unpack IMAGE")}</code> does.
                </>
              ) : (
                "No unpack is like this."
              )}
            </p>
          ) : (
            <List view={view} found={found} shown={found.slice((page - 1) * rowsPerPage, page * rowsPerPage)} />
          )}
          <Pager view={view} page={page} pages={pages} />
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

function matching(find: string, state: string): (unpack: Unpack) => boolean {
  const wanted = find.trim().toLowerCase();
  return (unpack) => {
    if (state !== "" && unpack.state !== state) return false;
    const { image, operationId, failure, layers } = unpack;
    const texts = [
      image,
      operationId,
      failure?.code ?? "",
      failure?.message ?? "",
      ...layers.map(({ digest }) => digest),
    ];
    return wanted === "" || texts.some((text) => text.toLowerCase().includes(wanted));
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
  readonly shown: readonly Unpack[];
}

const List = ({ view, found, shown }: ListProps) => (
  <Scrolling label="Table of unpacks">
    <table>
      <caption>
        {found.length === 1 ? "1 unpack" : `${found.length} unpacks`}: first those that run, then those that have ended,
        the latest first. One that found all its layers in the pool is not among them.
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
        {shown.map((unpack) => (
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
