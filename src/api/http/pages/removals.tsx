// Room: api. Owns the page "Removals": devices that are still to be deleted, by what keeps them and who holds them.
/** @jsxImportSource hono/jsx */
import { formatSize } from "../../../domain/units.ts";
import type { Output } from "../../../service/api.ts";
import { removalStates } from "../../../service/removal-filter.ts";
import { NextPart } from "./list-nav.tsx";
import type { Page } from "./page.ts";
import { DiscardSet, RetrySet, removalCount } from "./removal-actions.tsx";
import { choiceIn, type RemovalChoice } from "./removal-choice.ts";
import { HolderFacts, HolderName, RemovalTable } from "./removal-table.tsx";
import { sentence } from "./text.ts";
import type { View } from "./view.ts";

const rowsOfGroup = 10;
const rowsOfOne = 100;

type Groups = Output<"removalGroups">;
type Trouble = Groups["troubles"][number];

export const removals: Page = {
  path: "/pools/:pool/removals",
  title: "Removals",
  about: "Devices that are still to be deleted, by what keeps them and by who holds them, and what is done about it",
  place: "navigation",
  reads: ["listRemovals", "removalGroups"],
  show: async (view) => {
    const choice = choiceIn(view);
    const groups = await view.read("removalGroups", { ...choice, removals: rowsOfGroup });
    return {
      body: (
        <>
          <Filter view={view} />
          <Narrowed view={view} choice={choice} />
          <Summary groups={groups} />
          {groups.count === 0 ? null : <All view={view} choice={choice} groups={groups} />}
          {choice.trouble === undefined || choice.holder === undefined
            ? groups.troubles.map((trouble) => (
                <OfTrouble key={trouble.trouble} view={view} choice={choice} of={trouble} />
              ))
            : await One({ view, choice, groups })}
          {groups.moreTroubles === 0 ? null : <p>And {groups.moreTroubles} more errors: narrow the list down.</p>}
        </>
      ),
    };
  },
};

const Filter = ({ view }: { readonly view: View }) => (
  <form class="filter" method="get" action={view.url.pathname}>
    <label>
      Device or key
      <input type="search" name="find" value={view.query("find")} />
    </label>
    <label>
      Error
      <input type="search" name="matching" value={view.query("matching")} />
    </label>
    <label>
      State
      <select name="state">
        {["", ...removalStates, "all"].map((state) => (
          <option key={state} value={state} selected={state === view.query("state")}>
            {state === "" ? "failed or pending" : state}
          </option>
        ))}
      </select>
    </label>
    <button type="submit">Show</button>
  </form>
);

const Narrowed = ({ view, choice: { trouble, holder } }: { readonly view: View; readonly choice: RemovalChoice }) =>
  trouble === undefined && holder === undefined ? null : (
    <p>
      Only those of one group.{" "}
      <a href={view.here({ trouble: undefined, holder: undefined, cursor: undefined })}>Show all groups</a>
    </p>
  );

function Summary({ groups: { count, bytes, states } }: { readonly groups: Groups }) {
  if (count === 0) return <p role="status">No removal matches: no such device is still to be deleted.</p>;
  const each = removalStates.filter((state) => states[state] > 0).map((state) => `${states[state]} ${state}`);
  return (
    <p role="status">
      {count === 1 ? "1 removal matches" : `${count} removals match`}: {each.join(", ")}. Together they would free{" "}
      {formatSize(bytes)}.
    </p>
  );
}

interface AllProps {
  readonly view: View;
  readonly choice: RemovalChoice;
  readonly groups: Pick<Groups, "count" | "set" | "states">;
}

function All({ view, choice, groups: { count, set, states } }: AllProps) {
  const shown = { view, choice, count, set, which: count === 1 ? "the one that matches" : `all ${count} that match` };
  return (
    <div class="actions">
      <RetrySet {...shown} />
      {states.discarded === count ? null : <DiscardSet {...shown} />}
    </div>
  );
}

interface OfTroubleProps {
  readonly view: View;
  readonly choice: RemovalChoice;
  readonly of: Trouble;
}

const OfTrouble = ({ view, choice, of: { trouble, count, bytes, holders, moreHolders } }: OfTroubleProps) => (
  <section>
    <h2>
      <bdi>{sentence(trouble)}</bdi> <span class="faint">{`${removalCount(count)}, ${formatSize(bytes)}`}</span>
    </h2>
    {holders.map((held) => {
      const ofHolder = { ...choice, trouble, holder: held.id };
      const which = held.count === 1 ? "this one" : `these ${held.count}`;
      return (
        <section key={held.id} class="held">
          <h3>
            <HolderName held={held} /> <span class="faint">({removalCount(held.count)})</span>
          </h3>
          <HolderFacts view={view} held={held} />
          {held.id === "nobody" ? (
            <RetrySet view={view} choice={ofHolder} count={held.count} set={held.set} which={which} />
          ) : null}
          <RemovalTable view={view} label={tableLabel(trouble, held.id)} removals={held.removals} />
          {held.count > 1 ? (
            <p>
              <a href={view.here({ trouble, holder: held.id })}>
                {held.count > held.removals.length ? `Show all ${held.count}` : "Show only these"}
                <span class="visually-hidden"> ({tableLabel(trouble, held.id)})</span>
              </a>
            </p>
          ) : null}
        </section>
      );
    })}
    {moreHolders === 0 ? null : <p>And {moreHolders} more holders: narrow the list down.</p>}
  </section>
);

const tableLabel = (trouble: string, holder: string): string => `Removals: ${trouble}, ${holder}`;

/** One group with all of its removals, part by part. */
async function One({
  view,
  choice,
  groups,
}: {
  readonly view: View;
  readonly choice: RemovalChoice;
  readonly groups: Groups;
}) {
  const [trouble] = groups.troubles;
  const held = trouble?.holders.find(({ id }) => id === choice.holder);
  if (trouble === undefined || held === undefined) return null;
  const { items, next } = await view.list("listRemovals", choice, { limit: rowsOfOne });
  return (
    <section>
      <h2>
        <bdi>{sentence(trouble.trouble)}</bdi>
      </h2>
      <h3>
        <HolderName held={held} />
      </h3>
      <HolderFacts view={view} held={held} />
      <RemovalTable view={view} label={tableLabel(trouble.trouble, held.id)} removals={items} />
      <NextPart view={view} next={next} />
    </section>
  );
}
