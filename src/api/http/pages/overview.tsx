// Room: api. Owns the page "Overview": what is wrong in any pool, the worst first, and a row for each pool.
/** @jsxImportSource hono/jsx */
import type { Output } from "../../../service/api.ts";
import { Findings } from "./findings.tsx";
import { PoolRow } from "./overview-row.tsx";
import type { Page } from "./page.ts";
import { Part, readable } from "./readable.tsx";

export const overview: Page = {
  path: "/",
  title: "Overview",
  about:
    "What is wrong in any pool, the worst first, each with its button; what each pool does, how full it is and will be",
  place: "navigation",
  reads: ["verdict", "status", "history", "now"],
  follows: "seconds",
  show: async (view) => {
    const [verdict, rows] = await Promise.all([
      readable(view.read("verdict", {})),
      Promise.all(
        view.pools.map(async (pool) => {
          const [status, history, now] = await Promise.all([
            readable(view.read("status", {}, pool)),
            readable(view.read("history", { range: "day", points: daySteps }, pool)),
            readable(view.read("now", {}, pool)),
          ]);
          return { pool, status, history, now };
        }),
      ),
    ]);
    return {
      body: (
        <>
          <h2>What is wrong</h2>
          <Part of={verdict} show={(found) => <Findings view={view} findings={worstFirst(found)} />} />
          <h2>Pools</h2>
          <ul class="rows">
            {rows.map((row) => (
              <PoolRow key={row.pool} view={view} {...row} />
            ))}
          </ul>
        </>
      ),
    };
  },
};

/** Of half an hour each. */
const daySteps = 48;

const severities = ["critical", "warning", "notice", "ok"] as const satisfies readonly Output<"verdict">["severity"][];

/** Of all pools; of the same severity, in the order of the pools. */
export const worstFirst = ({ pools }: Pick<Output<"verdict">, "pools">) =>
  severities.flatMap((severity) =>
    pools.flatMap(({ findings }) => findings.filter((finding) => finding.severity === severity)),
  );
