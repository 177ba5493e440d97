// Room: cli. Owns lists of images in files: a reference a line, with comments; read from there, and written so.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { invalidArgument } from "../../domain/errors.ts";
import { absoluteReference } from "../../images/reference.ts";

/** What a batch can hold of it, and a margin for comments. */
const maxBytes = 16 * 2 ** 20;

/** A comment begins a line, or follows white space: `#` may be in a path. */
const comment = /(?:^|\s)#.*$/;

/**
 * The references in `file` (`-`: standard input), each once, in their order. Paths in them are relative to the current
 * directory. Throws invalid_argument, with the number of the line, for what is no reference, and for an empty list.
 */
export function readReferences(file: string): readonly string[] {
  const name = file === "-" ? "standard input" : file;
  const references = textOf(file, name)
    .split("\n")
    .flatMap((line, index) => {
      const text = line.replace(comment, "").trim();
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

/** A line of such a file, with a comment behind the reference. */
export const referenceLine = (reference: string, remark: string): string =>
  `${reference}  # ${remark.replaceAll(/\s+/g, " ")}`;
