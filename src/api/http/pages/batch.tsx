// Room: api. Owns the page of one batch: image by pool, failures by class, and what can be done about it.
/** @jsxImportSource hono/jsx */
import { isBatchOver, itemStates } from "../../../domain/batches.ts";
import { commandOn, counted } from "../../../domain/verdict-trouble.ts";
import { Action } from "./action.tsx";
import { failureClasses, type GridRow, gridOf, type Item, type Share, sharesOf } from "./batch-grid.ts";
import { BatchSign, ItemSign, progressOf, timeLeft } from "./batch-state.tsx";
import { Choice, Pager } from "./list-nav.tsx";
import { Name } from "./names.tsx";
import type { Page } from "./page.ts";
import { Scrolling } from "./scrolling.tsx";
import { clockTime } from "./text.ts";
import type { View } from "./view.ts";

const rowsPerPage = 200;

export const batch: Page = {
  path: "/pools/:pool/batches/:batch",
  title: "Batch",
  about: "One batch: image by pool, failures by class and as CSV; cancel, retry failed",
  place: "link",
  reads: ["batch", "listBatchItems"],
  show: async (view) => {
    const shares = await sharesOf(view, view.param("batch"));
    const state = view.query("state");
    const rows = gridOf(shares, state);
    const pages = Math.max(1, Math.ceil(rows.length / rowsPerPage));
    const page = Math.min(Math.max(1, Math.trunc(Number(view.query("page"))) || 1), pages);
    const name = shares.find((share) => share.batch.name !== undefined)?.batch.name;
    return {
      heading: `Batch ${view.param("batch")}${name === undefined ? "" : `: ${name}`}`,
      body: (
        <>
          <Summary view={view} shares={shares} />
          <Failures view={view} shares={shares} />
          <h2>Images</h2>
          <Choice
            view={view}
            name="state"
            label="Only those that are"
            options={{ "": "all", ...Object.fromEntries(itemStates.map((each) => [each, each])) }}
          />
          <Grid shares={shares} rows={rows.slice((page - 1) * rowsPerPage, page * rowsPerPage)} count={rows.length} />
          <Pager view={view} page={page} pages={pages} />
        </>
      ),
    };
  },
};

interface Shares {
  readonly view: View;
  readonly shares: readonly Share[];
}

const Summary = ({ view, shares }: Shares) => (
  <>
    {shares.map(({ pool, batch: found }) => (
      <section key={pool} aria-label={`In pool ${pool}`}>
        <h2>In pool {pool}</h2>
        <p>
          <BatchSign state={found.state} />: {progressOf(found)}
          {timeLeft(found, view.readAtMs) === undefined ? "" : `, about ${timeLeft(found, view.readAtMs) ?? ""} left`}.
          Submitted {clockTime(found.createdAtMs)}, priority {found.priority}, {found.parallel} at the same time,{" "}
          {counted(found.attempts, "attempt")}.
          {found.cancelReason === undefined ? null : (
            <>
              {" "}
              Cancelled: <Name text={found.cancelReason} />.
            </>
          )}
        </p>
        <div class="actions">
          {isBatchOver(found.state) || found.state === "cancelling" ? null : (
            <Action
              view={view}
              operation="cancelBatch"
              pool={pool}
              given={{ batch: found.batch, reason: `cancelled by token ${view.viewer.tokenName}` }}
              label={`Cancel the batch in ${pool}`}
              about="What waits does not start, what runs is stopped and undone, what is done stays."
              command={commandOn(pool, `batch cancel ${found.batch}`)}
              reason="required"
            />
          )}
          {found.counts.failed === 0 ? null : (
            <Action
              view={view}
              operation="retryBatch"
              pool={pool}
              given={{ batch: found.batch, failedOnly: true }}
              label={`Retry ${found.counts.failed} failed in ${pool}`}
              command={commandOn(pool, `batch retry ${found.batch} --failed`)}
              reason="optional"
            />
          )}
        </div>
      </section>
    ))}
  </>
);

function Failures({ view, shares }: Shares) {
  const classes = failureClasses(shares);
  if (classes.length === 0) return null;
  return (
    <>
      <h2>Failures by class</h2>
      <Scrolling label="Table of failures">
        <table>
          <caption>Failed items by the error's code and the stage of the unpack, the most frequent first.</caption>
          <thead>
            <tr>
              <th scope="col">Class</th>
              <th scope="col" class="number">
                Items
              </th>
              <th scope="col">For example</th>
            </tr>
          </thead>
          <tbody>
            {classes.map(({ about, count, example }) => (
              <tr key={about}>
                <th scope="row">{about}</th>
                <td class="number">{count}</td>
                <td>
                  <Name text={example} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolling>
      <p>
        <a href={view.poolPath(`batches/${view.param("batch")}/failures.csv`)} download>
          Failures as CSV
        </a>
      </p>
    </>
  );
}

const Grid = ({
  shares,
  rows,
  count,
}: Pick<Shares, "shares"> & { readonly rows: readonly GridRow[]; readonly count: number }) => (
  <Scrolling label="Table of images">
    <table>
      <caption>{count === 1 ? "1 image" : `${count} images`}, in the order of their submission, by pool.</caption>
      <thead>
        <tr>
          <th scope="col">Image</th>
          <th scope="col">Platform</th>
          {shares.map(({ pool }) => (
            <th key={pool} scope="col">
              {pool}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ reference, platform, items }) => (
          <tr key={`${reference} ${platform}`}>
            <th scope="row">
              <Name text={reference} />
            </th>
            <td>{platform}</td>
            {shares.map(({ pool }) => (
              <td key={pool}>
                <Cell item={items.get(pool)} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolling>
);

function Cell({ item }: { readonly item: Item | undefined }) {
  if (item === undefined) return <>not asked for</>;
  const { state, attempts, failure, operationId } = item;
  return (
    <>
      <ItemSign state={state} />
      {attempts > 1 ? ` (attempt ${attempts})` : ""}
      {failure === undefined ? null : (
        <>
          : <Name text={failure.message} />
        </>
      )}
      {operationId === undefined || state !== "running" ? null : (
        <>
          {" "}
          <a href={`/operations/${operationId}`}>operation</a>
        </>
      )}
    </>
  );
}
