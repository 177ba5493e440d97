// Room: api. Owns what a button stands for: one operation with its arguments, sealed for one session.
import type { OperationName } from "../../../service/api.ts";

export interface FormAction {
  readonly operation: OperationName;
  /** Null: it acts on the host. */
  readonly pool: string | null;
  /** Arguments that the page has chosen. */
  readonly given: Readonly<Record<string, unknown>>;
  /** Arguments that the viewer chooses, in fields of the names `with.NAME`; a list in one box for each value. */
  readonly fields: readonly string[];
  readonly reason: "required" | "optional" | "none";
  /** Whether the page shows the operation afterwards: its ID is then the parameter `operation` of the address. */
  readonly isShown: boolean;
  /** The page that it leads to unless it fails, for what is then not at its own address any more. Null: its own. */
  readonly leadsTo: string | null;
  /** What is written on the button. */
  readonly label: string;
}

/** In ASCII, so that every character arrives as it was, the invisible ones as well. */
export const encodeAction = (action: FormAction): string =>
  JSON.stringify(action).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** Only after its seal was found to be right: nobody else has written it. */
export const decodeAction = (text: string): FormAction => JSON.parse(text) as FormAction;

export const fieldName = (field: string): string => `with.${field}`;
