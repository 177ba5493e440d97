// Room: api. Owns what a download is: a file that is made of what operations answer, at an address beside the pages.
import type { Page } from "./page.ts";
import type { View } from "./view.ts";

export interface Download extends Pick<Page, "path" | "reads"> {
  readonly make: (view: View) => Promise<File>;
}

interface File {
  /** Of letters, digits, `.` and `-`. */
  readonly name: string;
  readonly type: string;
  readonly text: string;
}

export const asDownload = ({ name, type, text }: File): Response =>
  new Response(text, {
    headers: {
      "content-type": `${type}; charset=utf-8`,
      "content-disposition": `attachment; filename="${name}"`,
      "cache-control": "no-store",
    },
  });

/** RFC 4180. A cell that a spreadsheet would take for a formula is text. */
export const csv = (rows: readonly (readonly (string | number)[])[]): string =>
  rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");

function cell(value: string | number): string {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
