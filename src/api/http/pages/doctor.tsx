// Room: api. Owns the page "Doctor": what is not in order in a pool, with the way out, and the choice of what is repaired.
/** @jsxImportSource hono/jsx */
import { passedOverWords } from "../../../domain/repair-choice.ts";
import type { Output } from "../../../service/api.ts";
import { Action } from "./action.tsx";
import { fieldName } from "./form-action.ts";
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
  about: "What is not in order in a pool, with the way out; what is safe to repair is ticked, and repaired as ticked",
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
  // One of before there were choices has none.
  const { findings, passedOver = [] } = result as Partial<Output<"doctor">>;
  return <Findings view={view} findings={findings ?? []} passedOver={passedOver} atMs={endedAtMs ?? view.readAtMs} />;
}

interface FindingsProps {
  readonly view: View;
  readonly findings: readonly Finding[];
  readonly passedOver: Output<"doctor">["passedOver"];
  readonly atMs: number;
}

const Findings = ({ view, findings, passedOver, atMs }: FindingsProps) => (
  <>
    {passedOver.map(({ id, why }) => (
      <p key={id} role="status">
        Finding <code>{id}</code> {passedOverWords[why]}.
      </p>
    ))}
    {findings.length === 0 ? (
      <p role="status">
        <Sign of="good">The pool was in order at {clockTime(atMs)}.</Sign>
      </p>
    ) : (
      <>
        <List view={view} findings={findings} atMs={atMs} />
        <Repair view={view} findings={findings.filter(isOffered)} />
      </>
    )}
  </>
);

/** What a repair can be asked for. */
const isOffered = ({ repaired, repairable }: Finding): boolean => !repaired && repairable;

/** The boxes stand in the table. */
const formId = "repair";
/** More are not typed. */
const mostTyped = 10;

function Repair({ view, findings }: { readonly view: View; readonly findings: readonly Finding[] }) {
  if (findings.length === 0) return null;
  const ids = findings.length > mostTyped ? "ID..." : findings.map(({ id }) => id).join(" ");
  return (
    <Action
      view={view}
      id={formId}
      operation="doctor"
      given={{ repair: true }}
      fields={["only"]}
      label="Repair what is ticked"
      about="It does what a start does for these, touches nothing that a snapshot shows, and looks again."
      command={view.command(`doctor --repair --only ${ids}`)}
      reason="required"
      isShown
    />
  );
}

interface ListProps {
  readonly view: View;
  readonly findings: readonly Finding[];
  readonly atMs: number;
}

const List = ({ view, findings, atMs }: ListProps) => (
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
              <Choice view={view} finding={finding} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolling>
);

function Choice({ view, finding }: { readonly view: View; readonly finding: Finding }) {
  if (finding.repaired) return <Sign of="good">repaired</Sign>;
  if (!isOffered(finding)) return <Sign of="warn">left to you</Sign>;
  if (!view.mayRun("doctor")) return <Sign of="good">safe to repair</Sign>;
  return (
    <label class="tick">
      <input type="checkbox" name={fieldName("only")} value={finding.id} form={formId} checked />
      Repair <code>{finding.id}</code>
    </label>
  );
}
