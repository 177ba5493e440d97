// Room: api. Owns the verdict line: one sentence, the worst thing first, and what can be done about it.
import type { Health } from "../../../domain/health.ts";
import { Sign, type SignKind } from "./sign.tsx";
import type { View } from "./view.ts";

export interface Verdict {
  readonly severity: "ok" | "warning" | "critical";
  readonly sentence: string;
  /** What to type, and where its button is; undefined: there is nothing to do. */
  readonly remedy?: { readonly command: string; readonly href?: string | undefined } | undefined;
}

const signOf: Readonly<Record<Verdict["severity"], SignKind>> = { ok: "good", warning: "warn", critical: "bad" };

export const VerdictLine = ({ verdict }: { readonly view: View; readonly verdict: Verdict | undefined }) =>
  verdict === undefined ? null : (
    <section class={`verdict ${verdict.severity}`} aria-label="Verdict">
      <p>
        <Sign of={signOf[verdict.severity]} /> {verdict.sentence}
      </p>
      {verdict.remedy === undefined ? null : (
        <p>
          {verdict.remedy.href === undefined ? null : <a href={verdict.remedy.href}>Go to what mends it</a>}{" "}
          <code>{verdict.remedy.command}</code>
        </p>
      )}
    </section>
  );

/** What /readyz knows. */
export const verdictOf = ({ ok, reasons }: Pick<Health, "ok" | "reasons">): Verdict =>
  ok
    ? { severity: "ok", sentence: "Jobs are taken and worked off." }
    : {
        severity: "critical",
        sentence: `Jobs are not taken: ${reasons[0] ?? "the reason is not known"}${reasons.length > 1 ? ` (and ${reasons.length - 1} more)` : ""}`,
        remedy: { command: "snapmill doctor" },
      };
