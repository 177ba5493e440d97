// Room: api. Owns the buttons that retry and discard removals: each with the hash of those that the page has shown.
/** @jsxImportSource hono/jsx */
import { commandOn } from "../../../domain/verdict-trouble.ts";
import type { Removal } from "../../../service/removals.ts";
import { Action } from "./action.tsx";
import { fieldName } from "./form-action.ts";
import { Name } from "./names.tsx";
import { choiceAtTerminal, type RemovalChoice } from "./removal-choice.ts";
import type { View } from "./view.ts";

export const removalCount = (count: number): string => (count === 1 ? "1 removal" : `${count} removals`);

export interface ShownSet {
  readonly view: View;
  readonly choice: RemovalChoice;
  readonly count: number;
  /** The hash of those that are shown. */
  readonly set: string;
  /** "all 7 that match" */
  readonly which: string;
}

const retryMeans = "tried at once, from the first attempt on, also those that were given up";
const unlessChanged = "If others match by then, nothing happens, and this page shows how many they are.";

export const RetrySet = ({ view, choice, count, set, which }: ShownSet) => (
  <Action
    view={view}
    operation="retryRemovals"
    given={{ ...choice, ifSet: set }}
    label={`Retry ${which}`}
    about={`${removalCount(count)}: ${retryMeans}. ${unlessChanged}`}
    command={view.command(`removals retry ${choiceAtTerminal(choice)}`)}
    reason="optional"
  />
);

export const DiscardSet = ({ view, choice, count, set, which }: ShownSet) => (
  <Action
    view={view}
    operation="discardRemovals"
    given={{ ...choice, ifSet: set }}
    fields={["reason"]}
    label={`Discard ${which}`}
    about={`${removalCount(count)}: not tried any more, until somebody retries them; their devices stay and take their space. ${unlessChanged}`}
    command={view.command(`removals discard ${choiceAtTerminal(choice)} --reason REASON`)}
    style="folded"
  >
    <ReasonField />
  </Action>
);

/** Kept with the removal. */
const ReasonField = () => (
  <label>
    Reason, kept with it
    <input name={fieldName("reason")} maxlength={256} required autocomplete="off" />
  </label>
);

interface One {
  readonly view: View;
  readonly removal: Pick<Removal, "device" | "state">;
  /** Default: the page's. */
  readonly pool?: string;
}

export const RetryOne = ({ view, removal: { device }, pool = view.pool ?? "default" }: One) => (
  <Action
    view={view}
    operation="retryRemovals"
    pool={pool}
    given={{ names: [device] }}
    label="Retry the removal"
    command={commandOn(pool, `removals retry ${device}`)}
  />
);

export const DiscardOne = ({ view, removal: { device, state }, pool = view.pool ?? "default" }: One) =>
  state === "discarded" ? null : (
    <Action
      view={view}
      operation="discardRemovals"
      pool={pool}
      given={{ names: [device] }}
      fields={["reason"]}
      label="Discard the removal"
      command={commandOn(pool, `removals discard ${device} --reason REASON`)}
    >
      <ReasonField />
    </Action>
  );

/** Both, behind one click. */
export const ChangeOne = ({ view, removal }: One) =>
  view.mayRun("retryRemovals") ? (
    <details class="action" name="action">
      <summary>
        Change
        <span class="visually-hidden">
          {" "}
          the removal of <Name text={removal.device} />
        </span>
      </summary>
      <RetryOne view={view} removal={removal} />
      <DiscardOne view={view} removal={removal} />
    </details>
  ) : null;
