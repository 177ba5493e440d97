// Room: api. Owns the list of what is wrong: each thing with what happens next, what to do, and the button that does it.
/** @jsxImportSource hono/jsx */
import type { Output } from "../../../service/api.ts";
import { Sign } from "./sign.tsx";
import { clockTime, roughDuration, sentence } from "./text.ts";
import { Remedy, severitySigns } from "./verdict.tsx";
import type { View } from "./view.ts";

type Finding = Output<"verdict">["pools"][number]["findings"][number];

export const Findings = ({ view, findings }: { readonly view: View; readonly findings: readonly Finding[] }) =>
  findings.length === 0 ? (
    <p role="status">
      <Sign of="good">Nothing is wrong.</Sign>
    </p>
  ) : (
    <ol class="findings">
      {findings.map((finding) => (
        <li key={`${finding.pool} ${finding.code}`} class={finding.severity}>
          <p>
            <Sign of={severitySigns[finding.severity]}>{`${finding.severity}:`}</Sign>{" "}
            <strong>
              <bdi>{sentence(finding.sentence)}</bdi>
            </strong>{" "}
            Pool <a href={`/pools/${encodeURIComponent(finding.pool)}`}>{finding.pool}</a>
            {finding.since === null
              ? "."
              : `, since ${clockTime(finding.since)}, for ${roughDuration(view.readAtMs - finding.since)}.`}
          </p>
          <p>
            Next: {sentence(finding.next)} What to do: {sentence(finding.wayOut)}
          </p>
          <Remedy view={view} verdict={finding} />
        </li>
      ))}
    </ol>
  );
