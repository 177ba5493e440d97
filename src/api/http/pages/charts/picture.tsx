// Room: api. Owns what every chart is for those who do not see it: a picture with a title, a description and its numbers.
/** @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";

export interface PictureProps {
  /** Unlike any other on the page: titles are found by it. */
  readonly id: string;
  readonly title: string;
  /** What it shows, in sentences. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly class?: string;
  readonly children: Child;
}

export const Picture = ({ id, title, description, width, height, class: kind = "", children }: PictureProps) => (
  <svg
    class={`chart ${kind}`}
    viewBox={`0 0 ${width} ${height}`}
    role="img"
    aria-labelledby={`${id}-title`}
    aria-describedby={`${id}-desc`}
  >
    <title id={`${id}-title`}>{title}</title>
    <desc id={`${id}-desc`}>{description}</desc>
    {children}
  </svg>
);

export interface NumbersProps {
  readonly caption: string;
  /** The first heads its row. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly [Child, ...Child[]])[];
}

/** The same as text. */
export const Numbers = ({ caption, columns, rows }: NumbersProps) => (
  <details class="numbers">
    <summary>
      The numbers<span class="visually-hidden"> of {caption}</span>
    </summary>
    <section class="table" aria-label={`Table of ${caption}`} tabindex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map((column, index) => (
              <th key={column} scope="col" class={index === 0 ? undefined : "number"}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([head, ...cells]) => (
            <tr>
              <th scope="row">{head}</th>
              {cells.map((cell) => (
                <td class="number">{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  </details>
);

/** For coordinates: a tenth of a pixel is enough. */
export const rounded = (value: number): number => Math.round(value * 10) / 10;
