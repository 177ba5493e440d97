// Room: api. Owns the page "Snapshots": a pool's snapshots as a tree, page by page, and what a search finds in it.
/** @jsxImportSource hono/jsx */
import { formatSize } from "../../../domain/units.ts";
import { Pager } from "./list-nav.tsx";
import { Name } from "./names.tsx";
import type { Page } from "./page.ts";
import { Scrolling } from "./scrolling.tsx";
import { allSnapshots, CommittedBytes, type ListedSnapshot, mostSnapshots, scopeIn, scopes } from "./snapshot-list.ts";
import { type TreePage, type TreeRow, treePage, treeRows } from "./snapshot-tree.ts";
import { clockTime } from "./text.ts";
import type { View } from "./view.ts";

const rowsPerPage = 200;
/** Labels of one snapshot that stand in its row; its own page has them all. */
const shownLabels = 3;

export const snapshots: Page = {
  path: "/pools/:pool/snapshots",
  title: "Snapshots",
  about:
    "A pool's snapshots as a tree, with the space that each takes; what a search finds, with all that it is based on",
  place: "navigation",
  reads: ["listSnapshots", "usage"],
  show: async (view) => {
    const scope = scopeIn(view);
    const wanted = view.query("find").trim().toLowerCase();
    const { items, next } = await allSnapshots(view, scope);
    const matches =
      wanted === "" ? undefined : (item: ListedSnapshot) => textsOf(item).some((text) => text.includes(wanted));
    const rows = treeRows(items, matches);
    const found = matches && rows.filter(({ isMatch }) => isMatch).length;
    const page = treePage(rows, Number(view.query("page")), rowsPerPage);
    const bytes = new CommittedBytes(view, items);
    const sizes = await Promise.all(
      page.rows.map(async ({ item }) => [await bytes.own(item), await bytes.inherited(item)]),
    );
    return {
      body: (
        <>
          <Filter view={view} scope={scope} />
          <p role="status">
            {items.length} {items.length === 1 ? "snapshot" : "snapshots"} in scope <Name text={scope} />
            {next === null ? "" : `, and more than the ${mostSnapshots} that are shown`}
            {found === undefined ? "" : `; ${found} found`}
          </p>
          {page.rows.length === 0 ? <p>There is nothing to show.</p> : <Tree view={view} page={page} sizes={sizes} />}
          <Pager view={view} page={page.page} pages={page.pages} />
        </>
      ),
    };
  },
};

const textsOf = ({ key, kind, labels }: ListedSnapshot): string[] =>
  [key, kind, ...Object.entries(labels).map(([name, value]) => `${name}=${value}`)].map((text) => text.toLowerCase());

const Filter = ({ view, scope }: { readonly view: View; readonly scope: string }) => (
  <form class="filter" method="get" action={view.url.pathname}>
    <label>
      Key, kind or label
      <input type="search" name="find" value={view.query("find")} />
    </label>
    <label>
      Scope
      <select name="scope">
        {[...new Set([...scopes, scope])].map((each) => (
          <option key={each} value={each} selected={each === scope}>
            {each}
          </option>
        ))}
      </select>
    </label>
    <button type="submit">Show</button>
  </form>
);

interface TreeProps {
  readonly view: View;
  readonly page: TreePage<ListedSnapshot>;
  readonly sizes: readonly (readonly (number | undefined)[])[];
}

const Tree = ({ view, page: { above, rows }, sizes }: TreeProps) => (
  <Scrolling label="Table of snapshots">
    <table class="tree">
      <caption>
        Snapshots, each below its parent. “Own” is what it holds beyond its parent, “of parents” what it shares with
        others.
      </caption>
      <thead>
        <tr>
          <th scope="col">Key or name</th>
          <th scope="col">Kind</th>
          <th scope="col" class="number">
            Own
          </th>
          <th scope="col" class="number">
            Of parents
          </th>
          <th scope="col">Labels</th>
          <th scope="col">Created</th>
        </tr>
      </thead>
      <tbody>
        {above.length === 0 ? null : (
          <tr>
            <td colspan={6} class="faint">
              Below{" "}
              {above.map(({ key }) => (
                <span key={key}>
                  <Name text={key} /> ›{" "}
                </span>
              ))}
            </td>
          </tr>
        )}
        {rows.map((row, index) => (
          <Row key={row.item.key} view={view} row={row} own={sizes[index]?.[0]} inherited={sizes[index]?.[1]} />
        ))}
      </tbody>
    </table>
  </Scrolling>
);

interface RowProps {
  readonly view: View;
  readonly row: TreeRow<ListedSnapshot>;
  readonly own: number | undefined;
  readonly inherited: number | undefined;
}

const Row = ({ view, row: { item, depth, children, isMatch }, own, inherited = 0 }: RowProps) => (
  <tr class={isMatch ? "match" : undefined}>
    <th scope="row">
      <span class="faint" aria-hidden="true">
        {"· ".repeat(Math.min(depth, 12))}
      </span>
      <span class="visually-hidden">Level {depth + 1}: </span>
      <a href={view.poolPath("snapshot", { scope: item.scope, key: item.key })}>
        <Name text={item.key} />
      </a>
      {children === 0 ? null : <span class="faint"> ({children} below)</span>}
      {isMatch ? <span class="visually-hidden"> (found)</span> : null}
    </th>
    <td>{item.kind}</td>
    <td class="number">
      {own === undefined ? <span title="not measured before it is committed">–</span> : formatSize(own)}
    </td>
    <td class="number">{formatSize(inherited)}</td>
    <td>
      <Labels labels={item.labels} />
    </td>
    <td>{clockTime(item.createdAtMs)}</td>
  </tr>
);

function Labels({ labels }: Pick<ListedSnapshot, "labels">) {
  const entries = Object.entries(labels);
  return (
    <>
      {entries.slice(0, shownLabels).map(([name, value]) => (
        <div key={name}>
          <Name text={`${name}=${value.slice(0, 100)}`} />
        </div>
      ))}
      {entries.length > shownLabels ? <div class="faint">and {entries.length - shownLabels} more</div> : null}
    </>
  );
}
