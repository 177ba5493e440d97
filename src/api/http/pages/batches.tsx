// Room: api. Owns the page "Batches": those of a pool, the latest first, with their progress.
/** @jsxImportSource hono/jsx */
import { itemCount } from "../../../domain/batches.ts";
import { type Batch, BatchSign, progressOf, timeLeft } from "./batch-state.tsx";
import { Pager } from "./list-nav.tsx";
import { Name } from "./names.tsx";
import type { Page } from "./page.ts";
import { Scrolling } from "./scrolling.tsx";
import { clockTime } from "./text.ts";
import type { View } from "./view.ts";

const rowsPerPage = 100;

export const batches: Page = {
  path: "/pools/:pool/batches",
  title: "Batches",
  about: "A pool's batches, the latest first: state, progress, time left",
  place: "navigation",
  reads: ["listBatches"],
  show: async (view) => {
    const all = await view.read("listBatches", {});
    const pages = Math.max(1, Math.ceil(all.length / rowsPerPage));
    const page = Math.min(Math.max(1, Math.trunc(Number(view.query("page"))) || 1), pages);
    const shown = all.slice((page - 1) * rowsPerPage, page * rowsPerPage);
    return {
      body:
        all.length === 0 ? (
          <p>
            There is no batch in this pool. <code>{view.command("batch submit FILE")}</code> submits one.
          </p>
        ) : (
          <>
            <List view={view} shown={shown} all={all.length} />
            <Pager view={view} page={page} pages={pages} />
          </>
        ),
    };
  },
};

const List = ({
  view,
  shown,
  all,
}: {
  readonly view: View;
  readonly shown: readonly Batch[];
  readonly all: number;
}) => (
  <Scrolling label="Table of batches">
    <table>
      <caption>
        {all === 1 ? "1 batch" : `${all} batches`}, the latest first. The time left follows from the pace so far.
      </caption>
      <thead>
        <tr>
          <th scope="col">Batch</th>
          <th scope="col">State</th>
          <th scope="col">Progress</th>
          <th scope="col">Time left</th>
          <th scope="col" class="number">
            Priority
          </th>
          <th scope="col">Submitted</th>
        </tr>
      </thead>
      <tbody>
        {shown.map((batch) => (
          <tr key={batch.batch}>
            <th scope="row">
              <a href={view.poolPath(`batches/${batch.batch}`)}>{batch.batch}</a>
              {batch.name === undefined ? null : (
                <>
                  {" "}
                  <Name text={batch.name} />
                </>
              )}
            </th>
            <td>
              <BatchSign state={batch.state} />
            </td>
            <td>
              <progress
                max={itemCount(batch.counts)}
                value={itemCount(batch.counts) - batch.counts.pending - batch.counts.running}
                aria-label={`Progress of ${batch.batch}`}
              />{" "}
              {progressOf(batch)}
            </td>
            <td>{timeLeft(batch, view.readAtMs) ?? "–"}</td>
            <td class="number">{batch.priority}</td>
            <td>{clockTime(batch.createdAtMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolling>
);
