// Room: api. Owns the page "Audit": who changed what, when, why, and what came of it.
/** @jsxImportSource hono/jsx */
import type { Output } from "../../../service/api.ts";
import { NextPart } from "./list-nav.tsx";
import { Name } from "./names.tsx";
import type { Page } from "./page.ts";
import { Scrolling } from "./scrolling.tsx";
import { Sign, type SignKind } from "./sign.tsx";
import { clockTime } from "./text.ts";
import type { View } from "./view.ts";

type Change = Output<"listAudit">;

const filters = {
  token: "Token",
  operation: "Operation",
  in: "Pool",
  code: "Result",
  operationId: "Operation ID",
} as const;

export const audit: Page = {
  path: "/audit",
  title: "Audit",
  about: "Who changed what, when, why, and with what result; for the role operate",
  place: "navigation",
  reads: ["listAudit"],
  show: async (view) => {
    const { in: pool, ...rest } = Object.fromEntries(
      Object.keys(filters).flatMap((name) => (view.query(name) === "" ? [] : [[name, view.query(name).trim()]])),
    ) as Record<string, string>;
    const { items, next } = await view.list("listAudit", { ...rest, ...(pool !== undefined && { pool }) });
    return {
      body: (
        <>
          <Filter view={view} />
          {items.length === 0 ? <p role="status">No change is like this.</p> : <List items={items} />}
          <NextPart view={view} next={next} />
          <p>
            At a terminal: <code>snapmill audit</code>. Changes by commands on this host and by containerd are not in
            it.
          </p>
        </>
      ),
    };
  },
};

const Filter = ({ view }: { readonly view: View }) => (
  <form class="filter" method="get" action={view.url.pathname}>
    {Object.entries(filters).map(([name, label]) => (
      <label key={name}>
        {label}
        <input name={name} value={view.query(name)} maxlength={128} size={12} />
      </label>
    ))}
    <button type="submit">Show</button>
  </form>
);

const signOf = (code: string): SignKind => {
  if (code === "ok") return "good";
  return code === "begun" ? "busy" : "bad";
};

const List = ({ items }: { readonly items: readonly Change[] }) => (
  <Scrolling label="Table of changes">
    <table>
      <caption>
        Changes that were asked for, the newest first. “begun”: what came of it is not known, or it still runs.
      </caption>
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">Token</th>
          <th scope="col">What</th>
          <th scope="col">Pool</th>
          <th scope="col">Why</th>
          <th scope="col">Result</th>
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={item.number}>
            <th scope="row">{clockTime(item.atMs)}</th>
            <td>
              {item.token} ({item.role})
            </td>
            <td>
              <What item={item} />
            </td>
            <td>{item.pool ?? "–"}</td>
            <td>{item.reason === null ? "–" : <Name text={item.reason} />}</td>
            <td>
              <Sign of={signOf(item.code)}>{item.code.replaceAll("_", " ")}</Sign>
              {item.operationId === null ? null : (
                <>
                  {" "}
                  <a href={`/operations/${encodeURIComponent(item.operationId)}`}>operation</a>
                </>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolling>
);

const What = ({ item: { operation, method, path, request } }: { readonly item: Change }) => (
  <>
    {operation ?? <Name text={`${method} ${path}`} />}
    {request === null || JSON.stringify(request) === "{}" ? null : (
      <details>
        <summary>with</summary>
        <pre>{JSON.stringify(request, null, 2)}</pre>
      </details>
    )}
  </>
);
