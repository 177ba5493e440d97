// Room: config. Owns the forms of values in a file of settings: the text of each, and how it is written.
import type { Form } from "./kinds.ts";

/** The text that a variable would have for a value of the file; undefined: the value has another type. */
export function textOf(value: unknown, form: Form): string | undefined {
  switch (form.as) {
    case "string":
      return typeof value === "string" ? value : undefined;
    case "integer":
      return typeof value === "number" && Number.isInteger(value) ? String(value) : undefined;
    case "boolean":
      return typeof value === "boolean" ? String(value) : undefined;
    case "list":
      return listText(value, form.separator);
  }
}

function listText(value: unknown, separator: string): string | undefined {
  if (!Array.isArray(value)) return undefined;
  const items: readonly unknown[] = value;
  // An item with a separator in it would become two.
  const isItem = (item: unknown) => typeof item === "string" && item !== "" && !item.includes(separator);
  return items.every(isItem) ? items.join(separator) : undefined;
}

/** How a file writes it, for errors. */
export function howToWrite(form: Form): string {
  switch (form.as) {
    case "string":
      return "in quotes";
    case "integer":
    case "boolean":
      return "without quotes";
    case "list":
      return 'written as ["one", "two"]';
  }
}
