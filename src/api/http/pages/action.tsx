// Room: api. Owns buttons that change something: a real form, sealed, with the command that does the same beside it.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";
import { mayDo } from "../../../domain/callers.ts";
import type { OperationName } from "../../../service/api.ts";
import { type Endpoint, endpoints } from "../v1/endpoints.ts";
import { encodeAction, type FormAction } from "./form-action.ts";
import type { View } from "./view.ts";

export interface ActionProps extends Omit<Partial<FormAction>, "operation" | "label" | "pool"> {
  readonly view: View;
  readonly operation: OperationName;
  /** Default: the page's. */
  readonly pool?: string | undefined;
  /** On the button: a verb and its object, "Cancel the batch". */
  readonly label: string;
  /** The same at a terminal. */
  readonly command: string;
  /** What it does, where the label does not say it all. */
  readonly about?: string;
  /** `folded`: the form opens with one click, and is sent with another. Default where a reason is asked for. */
  readonly style?: "folded" | "open";
  /** Of the form, for fields that stand elsewhere on the page and name it in `form`. */
  readonly id?: string;
  /** Elements for `fields`; their names are made by `fieldName`. */
  readonly children?: Child;
}

/** Nothing for a viewer whose role does not allow the operation; the server refuses it, too. */
export function Action({
  view,
  operation,
  pool = view.pool,
  label,
  command,
  about,
  given = {},
  fields = [],
  reason = "none",
  isShown = false,
  leadsTo = null,
  id,
  style = reason === "none" ? "open" : "folded",
  children,
}: ActionProps) {
  const endpoint: Endpoint = endpoints[operation];
  if (!mayDo(view.viewer.role, endpoint.role)) return null;
  const isOfPool = endpoint.path.startsWith("/v1/pools/{pool}");
  const chosen = { pool: (isOfPool && pool) || null, given, fields, reason, isShown, leadsTo, label };
  const action = encodeAction({ operation, ...chosen });
  const form = (
    <form id={id} class="action" method="post" action={`/do/${operation}`}>
      <input type="hidden" name="what" value={action} />
      <input type="hidden" name="seal" value={view.seal(action)} />
      <input type="hidden" name="back" value={view.here({})} />
      {about === undefined ? null : <p>{about}</p>}
      {children}
      {reason === "none" ? null : (
        <label>
          Reason, for the audit log
          <input name="reason" maxlength={256} required={reason === "required"} autocomplete="off" />
        </label>
      )}
      <button type="submit">{label}</button>
    </form>
  );
  return (
    <div class="action">
      {style === "open" ? (
        form
      ) : (
        <details class="action" name="action">
          <summary>{label}</summary>
          {form}
        </details>
      )}
      <Command text={command} />
    </div>
  );
}

/** What to type at a terminal instead. */
export const Command = ({ text }: { readonly text: string }) => (
  <p class="command">
    At a terminal: <code>{text}</code>
  </p>
);
