// Room: api. Owns the page "Doctor": what is not in order in a pool, with the way out, and what a repair mends.
/** @jsxImportSource hono/jsx */
import { isRepairable } from "../../../domain/findings.ts";
import type { Output } from "../../../service/api.ts";
import { Action } from "./action.tsx";
import { Name } from "./names.tsx";
import type { Page } from "./page.ts";
import { Scrolling } from "./scrolling.tsx";
import { Sign } from "./sign.tsx";
import { clockTime, sentence } from "./text.ts";
import type { View } from "./view.ts";

type Finding = Output<"doctor">["findings"][number];

export const doctor: Page = {
  path: "/pools/:pool/doctor",
  title: "Doctor",
  about: "What is not in order in a pool, with the way out; what a repair mends is ticked",
  place: "navigation",
  reads: ["getOperation"],
  show: async (view) => ({
    body: (
      <>
        <p>
          Doctor compares the records with what is in the pool and active on the host. It looks between two operations.
        </p>
        <Action
          view={view}
          operation="doctor"
          given={{ repair: false }}
          label="Look now"
          command={view.command("doctor")}
          isShown
        />
        {await Last({ view })}
      </>
    ),
  }),
};

/** What the look in the address has found. */
async function Last({ view }: { readonly view: View }) {
  const operationId = view.query("operation");
  if (operationId === "") return null;
  const { state, operation, pool, endedAtMs, result, failure } = await view.read("getOperation", { operationId });
  if (operation !== "doctor" || pool !== view.pool) return <p>This operation is not a look at this pool.</p>;
  if (state === "running") {
    return (
      <p role="status">
        <Sign of="busy">It looks: this page shows what it finds as soon as it has ended.</Sign>
      </p>
    );
  }
  if (state === "failed") {
    return (
      <p role="alert">
        <Sign of="bad">It could not look: </Sign>{" "}
        <Name text={sentence(failure?.message ?? "the reason is not known")} />
      </p>
    );
  }
  const { findings } = result as Output<"doctor">;
  return <Findings view={view} findings={findings} atMs={endedAtMs ?? view.readAtMs} />;
}

function Findings({
  view,
  findings,
  atMs,
}: {
  readonly view: View;
  readonly findings: readonly Finding[];
  readonly atMs: number;
}) {
  const safe = findings.filter((finding) => !finding.repaired && isRepairable(finding)).length;
  if (findings.length === 0) {
    return (
      <p role="status">
        <Sign of="good">The pool was in order at {clockTime(atMs)}.</Sign>
      </p>
    );
  }
  return (
    <>
      <List findings={findings} atMs={atMs} />
      {safe === 0 ? null : (
        <Action
          view={view}
          operation="doctor"
          given={{ repair: true }}
          label={`Repair the ${safe} ticked`}
          about="It does what a start does, touches nothing that a snapshot shows, and looks again."
          command={view.command("doctor --repair")}
          reason="required"
          isShown
        />
      )}
    </>
  );
}

const List = ({ findings, atMs }: { readonly findings: readonly Finding[]; readonly atMs: number }) => (
  <Scrolling label="Table of findings">
    <table>
      <caption>
        {findings.length === 1 ? "1 thing" : `${findings.length} things`} not in order, as of {clockTime(atMs)}.
      </caption>
      <thead>
        <tr>
          <th scope="col">What is wrong</th>
          <th scope="col">Way out</th>
          <th scope="col">Repair</th>
        </tr>
      </thead>
      <tbody>
        {findings.map((finding) => (
          <tr key={`${finding.kind} ${finding.subject}`}>
            <th scope="row">
              <Name text={sentence(finding.sentence)} />
            </th>
            <td>{finding.repaired ? "none is needed any more" : <Name text={finding.wayOut} />}</td>
            <td>
              <Mended finding={finding} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolling>
);

function Mended({ finding }: { readonly finding: Finding }) {
  if (finding.repaired) return <Sign of="good">repaired</Sign>;
  return isRepairable(finding) ? <Sign of="good">a repair mends it</Sign> : <Sign of="warn">left to you</Sign>;
}
