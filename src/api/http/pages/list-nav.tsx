// Room: api. Owns the links between the parts of a long list, and rows of links that filter one.
/** @jsxImportSource hono/jsx */
import type { View } from "./view.ts";

/** Of a list whose next part begins at a cursor. */
export const NextPart = ({ view, next }: { readonly view: View; readonly next: string | null }) =>
  next === null && view.query("cursor") === "" ? null : (
    <nav aria-label="Parts of the list">
      <ul>
        {view.query("cursor") === "" ? null : (
          <li>
            <a href={view.here({ cursor: undefined })}>To the beginning</a>
          </li>
        )}
        {next === null ? null : (
          <li>
            <a href={next}>Next</a>
          </li>
        )}
      </ul>
    </nav>
  );

export interface PagerProps {
  readonly view: View;
  /** From 1. */
  readonly page: number;
  readonly pages: number;
}

/** Of a list whose parts are numbered. */
export const Pager = ({ view, page, pages }: PagerProps) =>
  pages === 1 ? null : (
    <nav aria-label="Parts of the list">
      <ul>
        {page > 1 ? (
          <li>
            <a href={view.here({ page: page - 1 })}>Previous</a>
          </li>
        ) : null}
        <li>
          Page {page} of {pages}
        </li>
        {page < pages ? (
          <li>
            <a href={view.here({ page: page + 1 })}>Next</a>
          </li>
        ) : null}
      </ul>
    </nav>
  );

export interface ChoiceProps {
  readonly view: View;
  /** The parameter of the query. */
  readonly name: string;
  readonly label: string;
  /** By value; "" stands for no filter. */
  readonly options: Readonly<Record<string, string>>;
}

export const Choice = ({ view, name, label, options }: ChoiceProps) => (
  <nav aria-label={label}>
    <ul>
      {Object.entries(options).map(([value, text]) => (
        <li key={value}>
          <a
            href={view.here({ [name]: value, page: undefined, cursor: undefined })}
            aria-current={view.query(name) === value ? "true" : undefined}
          >
            {text}
          </a>
        </li>
      ))}
    </ul>
  </nav>
);
