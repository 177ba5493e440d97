// Room: cli. Owns what is written to stdout and stderr, and what happens when its reader goes away.
import { styleText } from "node:util";
import { type Column, Table } from "./format.ts";

/** The reader of stdout has gone (`snapmill ls | head -1`): this ends the command and is not a failure. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

/** Without a listener, a closed pipe would end the program with a stack trace. */
export function tolerateClosedPipes(): void {
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
}

/** Writes `text` to stdout and waits until it is flushed. Throws ReaderGone if the reader has gone. */
export function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error === null || error === undefined) resolve();
      else if ("code" in error && error.code === "EPIPE") reject(new ReaderGone());
      else reject(error);
    });
  });
}

export async function printLines(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await write(`${lines.join("\n")}\n`);
}

export const printJson = (value: unknown): Promise<void> => write(`${JSON.stringify(value)}\n`);

/** Writes a line to stderr: progress, hints and failures, never data. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Says in a sentence what a command waits for, or has repaired. */
export const notice = (sentence: string): void => say(`snapmill: ${sentence}`);

/** Waits until all output is flushed: a program that ends at once would truncate it. */
export const flush = (): Promise<void> => new Promise((resolve) => process.stderr.write("", () => resolve()));

/** Bold if stdout is a terminal that supports it and NO_COLOR is not set. */
export const bold = (text: string): string => styleText("bold", text, { stream: process.stdout, validateStream: true });

/** How a list is shown: as a table for people, or as one JSON object per line. */
export interface Listing<Item> {
  readonly columns: readonly Column[];
  readonly row: (item: Item) => readonly string[];
  readonly json: (item: Item) => unknown;
}

/** How many rows of a table are laid out together. */
const partRows = 500;

/** As the items come: the reader of a long list may leave before its end. */
export async function printList<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  listing: Listing<Item>,
  options: { readonly json?: true },
): Promise<void> {
  if (options.json) {
    for await (const item of items) await printJson(listing.json(item));
    return;
  }
  const table = new Table(listing.columns);
  let part: (readonly string[])[] = [];
  let hasTitles = false;
  const printPart = async () => {
    const lines = hasTitles ? table.format(part) : table.format(part, "with titles");
    await printLines(hasTitles ? lines : lines.with(0, bold(lines[0] ?? "")));
    [part, hasTitles] = [[], true];
  };
  for await (const item of items) {
    part.push(listing.row(item));
    if (part.length === partRows) await printPart();
  }
  if (!hasTitles || part.length > 0) await printPart();
}
