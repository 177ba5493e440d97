// Room: api. Owns what can be done to a pool as a whole: each asks for a reason, and has its command beside it.
/** @jsxImportSource hono/jsx */
import { formatSize } from "../../../domain/units.ts";
import type { Output } from "../../../service/api.ts";
import { Action } from "./action.tsx";
import { fieldName } from "./form-action.ts";
import type { View } from "./view.ts";

export interface PoolActionsProps {
  readonly view: View;
  readonly hold: NonNullable<Output<"status">["metadata"]>["hold"];
  /** Undefined: it is no thin-pool, or nothing is known of it. */
  readonly thinPool: Output<"poolStatus"> | undefined;
}

export const PoolActions = ({ view, hold, thinPool }: PoolActionsProps) => (
  <div class="actions">
    <Unpacks view={view} hold={hold} />
    {thinPool === undefined ? null : <Grow view={view} thinPool={thinPool} />}
    <Action
      view={view}
      operation="doctor"
      given={{ repair: false }}
      label="Run doctor"
      about="Compares the records with the pool and the host, and changes nothing."
      command={view.command("doctor")}
      reason="optional"
      leadsTo={view.poolPath("doctor")}
      isShown
    />
    <Action
      view={view}
      operation="doctor"
      given={{ repair: true }}
      label="Repair"
      about="Repairs what doctor finds and what is safe to repair; touches nothing that a snapshot shows."
      command={view.command("doctor --repair")}
      reason="required"
      leadsTo={view.poolPath("doctor")}
      isShown
    />
    <Action
      view={view}
      operation="cleanup"
      label="Clean up"
      about="Removes now what removals and interrupted unpacks have left behind; retries what was given up."
      command={view.command("cleanup")}
      reason="required"
    />
  </div>
);

/** What is held is resumed; what is not is paused or drained. */
const Unpacks = ({ view, hold }: Omit<PoolActionsProps, "thinPool">) => (
  <>
    {hold === null ? null : (
      <Action
        view={view}
        operation="releaseQueue"
        label="Resume unpacks"
        about="Has unpacks executed again."
        command={view.command("resume")}
        reason="required"
      />
    )}
    {hold !== null ? null : (
      <Action
        view={view}
        operation="holdQueue"
        label="Pause unpacks"
        about="Unpacks are accepted and wait; those that run go on to their end."
        command={view.command("queues pause --reason REASON")}
        reason="required"
      />
    )}
    {hold?.kind === "drained" ? null : (
      <Action
        view={view}
        operation="drain"
        label="Drain"
        about="For maintenance: unpacks are accepted and wait; those that run end within ten minutes, or go back into the queue."
        command={view.command("drain --reason REASON")}
        reason="required"
      />
    )}
  </>
);

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;

/** Sizes that make sense next, in whole units; the least is larger than what there is. */
export const largerSizes = (bytes: number, unit: number, factors: readonly number[]): number[] => [
  ...new Set(
    factors.map((factor) => Math.max(Math.floor(bytes / unit) + 1, Math.ceil((bytes * factor) / unit)) * unit),
  ),
];

function Grow({ view, thinPool: { data, metadata, definition } }: { view: View; thinPool: Output<"poolStatus"> }) {
  if (definition.storage.kind === "devices") {
    return (
      <Action
        view={view}
        operation="growPool"
        label="Grow"
        about="To the size of its devices: enlarge them first."
        command={view.command("pool grow")}
        reason="required"
      />
    );
  }
  return (
    <Action
      view={view}
      operation="growPool"
      fields={["dataBytes", "metadataBytes"]}
      label="Grow"
      about="The files that it is in become larger; that is not undone."
      command={view.command("pool grow --data-size SIZE --metadata-size SIZE")}
      reason="required"
    >
      <Size
        field="dataBytes"
        label="Data"
        bytes={data.totalBytes}
        sizes={largerSizes(data.totalBytes, gibibyte, [1.25, 1.5, 2, 4])}
      />
      <Size
        field="metadataBytes"
        label="Metadata"
        bytes={metadata.totalBytes}
        sizes={largerSizes(metadata.totalBytes, mebibyte, [2, 4])}
      />
    </Action>
  );
}

interface SizeProps {
  readonly field: string;
  readonly label: string;
  readonly bytes: number;
  readonly sizes: readonly number[];
}

const Size = ({ field, label, bytes, sizes }: SizeProps) => (
  <label>
    {label}
    <select name={fieldName(field)}>
      <option value="">{`as it is: ${formatSize(bytes)}`}</option>
      {sizes.map((size) => (
        <option key={size} value={String(size)}>
          {formatSize(size)}
        </option>
      ))}
    </select>
  </label>
);
