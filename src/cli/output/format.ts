// Room: cli. Owns the layout of data for people: columns, times, names; pure functions.
import type { Labels } from "../../domain/snapshots.ts";
import { formatSize } from "../../domain/units.ts";

export interface Column {
  readonly title: string;
  /** Numbers are right-aligned, everything else is left-aligned. */
  readonly align?: "right";
}

type Row = readonly string[];

/** One line for the titles and one per row, in columns two spaces apart, without trailing spaces. */
export const formatTable = (columns: readonly Column[], rows: readonly Row[]): string[] =>
  new Table(columns).format(rows, "with titles");

/** A table that is written in parts; its columns become wider from part to part, if they must. */
export class Table {
  readonly #columns: readonly Column[];
  #widths: readonly number[];

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
    this.#widths = columns.map(() => 0);
  }

  format(rows: readonly Row[], titles?: "with titles"): string[] {
    const lines = rows.map((row) => row.map(printable));
    if (titles !== undefined) lines.unshift(this.#columns.map(({ title }) => title));
    this.#widths = this.#widths.map((width, index) =>
      lines.reduce((widest, line) => Math.max(widest, Bun.stringWidth(line[index] ?? "")), width),
    );
    return lines.map((line) => {
      const cells = this.#columns.map(({ align }, index) => pad(line[index] ?? "", this.#widths[index] ?? 0, align));
      return cells.join("  ").trimEnd();
    });
  }
}

/** `title  value` lines with aligned values; undefined values are left out. */
export function formatFields(fields: readonly (readonly [title: string, value: string | undefined])[]): string[] {
  const width = Math.max(...fields.map(([title]) => title.length));
  return fields.flatMap(([title, value]) =>
    value === undefined ? [] : [`${title.padEnd(width)}  ${printable(value)}`.trimEnd()],
  );
}

export function pad(text: string, width: number, align?: "right"): string {
  const space = " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
  return align === "right" ? space + text : text + space;
}

/** `text` with control characters escaped: a snapshot's key may contain terminal escape sequences. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const longDigest = /\bsha256:([0-9a-f]{12})[0-9a-f]{52}\b/g;

/**
 * `text` with digests shortened to twelve digits: enough to tell them apart, and accepted by every command that reads.
 */
export const shortDigests = (text: string): string => text.replace(longDigest, "sha256:$1");

/** Local time, "2026-11-24 07:05:30". */
export function formatTime(ms: number): string {
  const time = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [String(time.getFullYear()).padStart(4, "0"), two(time.getMonth() + 1), two(time.getDate())].join("-");
  return `${day} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":")}`;
}

/** `name=value` of each label, sorted. */
export const labelTexts = (labels: Labels): string[] =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .sort();

export const formatLabels = (labels: Labels): string => labelTexts(labels).join(", ");

/** Megabytes (10^6) a second, "118 MB/s". */
export function formatRate(bytes: number, ms: number): string {
  const rate = bytes / 1000 / Math.max(ms, 1);
  return `${rate.toFixed(rate < 10 ? 1 : 0)} MB/s`;
}

/** "1.5 GiB of 20 GiB (8 %)". */
export const formatShare = (used: number, total: number): string =>
  `${formatSize(used)} of ${formatSize(total)} (${total > 0 ? Math.round((used / total) * 100) : 0} %)`;

/** "1 layer", "12 layers". */
export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
