// Room: api. Owns the verdict line of the frame: the worst thing first, since when, what happens next, and its button.
/** @jsxImportSource hono/jsx */
import { inTime } from "../../../domain/timers.ts";
import { api, type OperationName, type Output } from "../../../service/api.ts";
import { Action } from "./action.tsx";
import { Sign, type SignKind } from "./sign.tsx";
import { clockTime, roughDuration, sentence } from "./text.ts";
import type { View } from "./view.ts";

/** A string: why there is none. */
export type Verdict = Output<"verdict"> | string;

/** The page itself must be there when all else fails. */
const patienceMs = 2_000;

/** Never rejects. */
export async function readVerdict(view: View): Promise<Verdict> {
  if (view.pools.length === 0) return "no pool is served here";
  try {
    return (
      (await inTime(patienceMs, view.read("verdict", {}))) ?? "there is no verdict: it takes more than two seconds"
    );
  } catch (error) {
    return `there is no verdict: ${error instanceof Error ? error.message : String(error)}`;
  }
}

export const severitySigns: Readonly<Record<Output<"verdict">["severity"], SignKind>> = {
  ok: "good",
  notice: "busy",
  warning: "warn",
  critical: "bad",
};

export function VerdictLine({ view, verdict }: { readonly view: View; readonly verdict: Verdict }) {
  if (typeof verdict === "string") {
    return (
      <section class="verdict warning" aria-label="Verdict">
        <p>
          <Sign of="warn" /> {sentence(verdict)}
        </p>
      </section>
    );
  }
  const { severity, pool, since, next, wayOut, pools } = verdict;
  const more = pools.reduce((count, each) => count + each.findings.length, 0) - 1;
  return (
    <section class={`verdict ${severity}`} aria-label="Verdict" aria-live="polite">
      <p>
        <Sign of={severitySigns[severity]} /> <strong>{sentence(verdict.sentence)}</strong>
        {view.pools.length > 1 && severity !== "ok" ? ` Pool ${pool}.` : ""}
        {since === null ? "" : ` Since ${clockTime(since)}, for ${roughDuration(view.readAtMs - since)}.`}
        {more > 0 ? (
          <>
            {" "}
            <a href="/">And {more} more</a>.
          </>
        ) : null}
      </p>
      {severity === "ok" ? null : (
        <p>
          Next: {sentence(next)} What to do: {sentence(wayOut)}
        </p>
      )}
      <Remedy view={view} verdict={verdict} />
    </section>
  );
}

export interface RemedyProps {
  readonly view: View;
  /** Or one of its findings. */
  readonly verdict: Pick<Output<"verdict">, "remedy" | "pool">;
}

export function Remedy({ view, verdict: { remedy, pool } }: RemedyProps) {
  if (remedy === null || !isOperation(remedy.operation)) return null;
  const { operation, input, label, command } = remedy;
  return (
    <Action
      view={view}
      operation={operation}
      pool={pool}
      given={input}
      label={label}
      command={command}
      reason="optional"
      style="folded"
    />
  );
}

const isOperation = (name: string): name is OperationName => Object.hasOwn(api, name);
