// Room: api. Owns removals as rows of a table, and who holds their devices as sentences.
/** @jsxImportSource hono/jsx */
import { formatSize } from "../../../domain/units.ts";
import type { HeldRemovals } from "../../../service/removal-groups.ts";
import type { Removal } from "../../../service/removals.ts";
import { Command } from "./action.tsx";
import { Name } from "./names.tsx";
import { ChangeOne } from "./removal-actions.tsx";
import { Scrolling } from "./scrolling.tsx";
import { Sign, type SignKind } from "./sign.tsx";
import { clockTime, roughDuration } from "./text.ts";
import type { View } from "./view.ts";

interface Held {
  readonly view: View;
  readonly held: Pick<HeldRemovals, "id" | "holder" | "count">;
}

/** Who, in a heading. */
export function HolderName({ held: { id, holder } }: { readonly held: Pick<HeldRemovals, "id" | "holder"> }) {
  if (id === "nobody") return <>Held by nobody now</>;
  if (holder === null) return <>Nobody was looked for, or found</>;
  if (holder.pid !== null) {
    return (
      <>
        Held by process {holder.pid}: <Name text={holder.command ?? "(no command line)"} />
      </>
    );
  }
  if (holder.device !== null) {
    return (
      <>
        Part of device <Name text={holder.device} />
      </>
    );
  }
  return holder.isOwnNamespace === true ? <>Mounted where snapmill runs</> : <>Mounted in another mount namespace</>;
}

/** Since when, where, and what to do about it. */
export function HolderFacts({ view, held: { id, holder, count } }: Held) {
  const it = count === 1 ? "it" : "them";
  if (id === "nobody")
    return (
      <p>
        Nothing is in the way of {it} any more: a retry has {it} removed.
      </p>
    );
  if (holder === null) {
    return <p>Who holds a device is looked for once an attempt has failed, for two seconds at most.</p>;
  }
  const { pid, startedAtMs, mountNamespace, isOwnNamespace } = holder;
  const since =
    startedAtMs === null
      ? ""
      : `Runs since ${clockTime(startedAtMs)}, for ${roughDuration(view.readAtMs - startedAtMs)}. `;
  const own = isOwnNamespace === true ? "snapmill's own" : "not snapmill's";
  const namespace = mountNamespace === null ? "" : `Mount namespace ${mountNamespace}, ${own}. `;
  const ways = [
    holder.how === "mount" ? "unmount" : undefined,
    pid === null ? undefined : "end the process",
    holder.device === null ? undefined : "take that device down",
  ].filter((way) => way !== undefined);
  return (
    <>
      <p>
        {since}
        {namespace}What to do: {ways.join(", or ")}; then retry.
      </p>
      {pid === null ? null : <Command text={`ps -o pid,ppid,user,lstart,args -p ${pid}`} />}
    </>
  );
}

const signs: Readonly<Record<Removal["state"], SignKind>> = { pending: "busy", failed: "bad", discarded: "none" };

interface TableProps {
  readonly view: View;
  readonly label: string;
  readonly removals: readonly Removal[];
}

export const RemovalTable = ({ view, label, removals }: TableProps) => (
  <Scrolling label={label}>
    <table>
      <caption class="visually-hidden">{label}</caption>
      <thead>
        <tr>
          <th scope="col">Device</th>
          <th scope="col">State</th>
          <th scope="col">Held where</th>
          <th scope="col" class="number">
            Attempts
          </th>
          <th scope="col">Next try</th>
          <th scope="col" class="number">
            Fails for
          </th>
          <th scope="col" class="number">
            Frees
          </th>
        </tr>
      </thead>
      <tbody>
        {removals.map((removal) => (
          <Row key={removal.device} view={view} removal={removal} />
        ))}
      </tbody>
    </table>
  </Scrolling>
);

const Row = ({ view, removal }: { readonly view: View; readonly removal: Removal }) => (
  <tr>
    <th scope="row">
      <a href={`/operations/${removal.operationId}`}>
        <Name text={removal.device} />
      </a>
      {removal.key === null ? null : (
        <div class="faint">
          of <Name text={removal.key} />
        </div>
      )}
      <ChangeOne view={view} removal={removal} />
    </th>
    <td>
      <Sign of={signs[removal.state]}>{removal.state}</Sign>
      {removal.discardReason === null ? null : (
        <div>
          <Name text={removal.discardReason} />
        </div>
      )}
    </td>
    <td>
      <Places heldBy={removal.heldBy} />
    </td>
    <td class="number">{removal.attempts}</td>
    <td>{nextTry(removal, view.readAtMs)}</td>
    <td class="number">
      {removal.failingSinceMs === null ? (
        "–"
      ) : (
        <span title={`since ${clockTime(removal.failingSinceMs)}`}>
          {roughDuration(view.readAtMs - removal.failingSinceMs)}
        </span>
      )}
    </td>
    <td class="number">{removal.bytes === null ? "–" : formatSize(removal.bytes)}</td>
  </tr>
);

const shownPlaces = 3;

export function Places({ heldBy }: Pick<Removal, "heldBy">) {
  if (heldBy === null || heldBy.holders.length === 0) return <>–</>;
  const more = Math.max(0, heldBy.holders.length - shownPlaces) + heldBy.more;
  return (
    <>
      {heldBy.holders.slice(0, shownPlaces).map((holder) => (
        <div key={`${holder.how} ${holder.pid ?? 0} ${holder.mountPoint ?? ""} ${holder.device ?? ""}`}>
          <Place holder={holder} />
        </div>
      ))}
      {more > 0 ? <div class="faint">and {more} more</div> : null}
    </>
  );
}

export function Place({ holder }: { readonly holder: NonNullable<Removal["heldBy"]>["holders"][number] }) {
  if (holder.mountPoint !== null) {
    return (
      <>
        mounted at <Name text={holder.mountPoint} />
      </>
    );
  }
  if (holder.pid !== null) return <>open in process {holder.pid}</>;
  return (
    <>
      part of <Name text={holder.device ?? ""} />
    </>
  );
}

export function nextTry({ state, nextTryAtMs }: Pick<Removal, "state" | "nextTryAtMs">, nowMs: number): string {
  if (state !== "pending") return "none";
  if (nextTryAtMs === null || nextTryAtMs <= nowMs) return "now";
  return `in ${roughDuration(nextTryAtMs - nowMs)}`;
}
