// Room: cli. Owns lists of images in files: a reference a line, with comments; read from there, and written so.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { invalidArgument } from "../../domain/errors.ts";
import { absoluteReference } from "../../images/reference.ts";
import { printable } from "../output/format.ts";

/** What a batch can hold of it, and a margin for comments. */
const maxBytes = 16 * 2 ** 20;

/** A comment begins a line, or follows white space: `#` may be in a path. It may hold anything, also the end of a CR LF. */
const comment = /(?:^|\s)#.*$/s;

/**
 * The references in `file` (`-`: standard input), each once, in their order. Paths in them are relative to the current
 * directory. Throws invalid_argument, with the number of the line, for what is no reference, and for an empty list.
 */
export function readReferences(file: string): readonly string[] {
  const name = file === "-" ? "standard input" : file;
  const references = textOf(file, name)
    .split("\n")
    .flatMap((line, index) => {
      const text = withoutComment(line);
      return text === "" ? [] : [referenceOf(text, `${name}, line ${index + 1}`)];
    });
  if (references.length === 0) throw invalidArgument(`${name} holds no image reference: write one a line`);
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
    throw invalidArgument(`${name} has more than ${maxBytes} bytes: make several lists of it`);
  return bytes.toString("utf8");
}

function referenceOf(text: string, place: string): string {
  try {
    return absoluteReference(text, process.cwd());
  } catch (error) {
    throw invalidArgument(`${place}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

const withoutComment = (line: string): string => line.replace(comment, "").trim();

/** Whether a list gives back the same reference: a path may hold a line break, or what begins a comment. */
export const isListable = (reference: string): boolean =>
  printable(reference) === reference && withoutComment(reference) === reference;

/** A line of such a file, with a comment behind the reference; a comment alone where a list cannot hold the reference. */
export function referenceLine(reference: string, remark: string): string {
  const text = isListable(reference) ? reference : `# not to be listed: ${printable(reference)}`;
  return `${text}  # ${printable(remark.replaceAll(/\s+/g, " "))}`;
}
