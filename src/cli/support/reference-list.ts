// Room: cli. Owns files that list images, one reference per line, with comments: reading and writing them.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { invalidArgument } from "../../domain/errors.ts";
import { printable } from "../output/format.ts";

/** Enough for the largest batch, with a margin for comments. */
const maxBytes = 16 * 2 ** 20;

/**
 * A comment starts at the beginning of a line or after white space: a path may contain `#`. It extends to the end of
 * the text, whatever that contains (the end of a CR LF, for example).
 */
const comment = /(?:^|\s)#.*$/s;

/**
 * The references in `file` (`-`: standard input), in order, without duplicates, each as `inFull` makes it. Throws invalid_argument, with the line number, for an invalid reference, and for an empty list.
 */
export function readReferences(file: string, inFull: (text: string) => string): readonly string[] {
  const name = file === "-" ? "standard input" : file;
  const references = textOf(file, name)
    .split("\n")
    .flatMap((line, index) => {
      const text = withoutComment(line);
      return text === "" ? [] : [referenceOf(text, inFull, `${name}, line ${index + 1}`)];
    });
  if (references.length === 0) throw invalidArgument(`${name} contains no image reference: write one per line`);
  return [...new Set(references)];
}

function textOf(file: string, name: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file === "-" ? 0 : resolve(file));
  } catch (error) {
    throw invalidArgument(`${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  if (bytes.length > maxBytes)
    throw invalidArgument(`${name} has more than ${maxBytes} bytes: split it into several lists`);
  return bytes.toString("utf8");
}

function referenceOf(text: string, inFull: (text: string) => string, place: string): string {
  try {
    return inFull(text);
  } catch (error) {
    throw invalidArgument(`${place}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

const withoutComment = (line: string): string => line.replace(comment, "").trim();

/** Whether a list can contain `reference` unchanged: a path may contain a line break, or the start of a comment. */
export const isListable = (reference: string): boolean =>
  printable(reference) === reference && withoutComment(reference) === reference;

/** A line of such a file: the reference and a comment; only a comment if a list cannot contain the reference. */
export function referenceLine(reference: string, remark: string): string {
  const text = isListable(reference) ? reference : `# cannot be listed: ${printable(reference)}`;
  return `${text}  # ${printable(remark.replaceAll(/\s+/g, " "))}`;
}
