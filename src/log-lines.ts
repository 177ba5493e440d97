// Room: top. Owns the log lines that people read: time, level and process in columns, the sentence, then its fields.
import { styleText } from "node:util";
import { quotedUnlessPlain, visible } from "./domain/quoted.ts";

type Style = Parameters<typeof styleText>[0];

/** Of each level; and of what is less important than the sentence. */
const styles: Readonly<Record<string, Style>> = { info: "green", warn: "yellow", error: "red", fatal: "red" };
const faint: Style = "dim";

/** Colours a text if stderr is a terminal that shows colours, and NO_COLOR is not set. */
const paint = (style: Style, text: string): string =>
  styleText(style, text, { stream: process.stderr, validateStream: true });

const levelWidth = 5;
/** "services" is the longest. */
const nameWidth = 8;

/**
 * `12:03:04 warn  pool     the sentence: the reason  operationId=op-1 key=k`. Nothing of it can move the cursor or begin
 * a line: control characters are escaped.
 */
export function lineForPeople(json: string): string {
  const { level = "", time, name = "", msg, err, pid: _pid, hostname: _hostname, ...fields } = parsed(json);
  const clock = (typeof time === "number" ? new Date(time) : new Date()).toTimeString().slice(0, 8);
  const columns = [
    paint(faint, clock),
    paint(styles[plain(level)] ?? faint, plain(level).padEnd(levelWidth)),
    paint(faint, visible(plain(name)).padEnd(nameWidth)),
    visible(`${plain(msg)}${reasonOf(err, msg)}`),
  ];
  const given = Object.entries(fields).map(([field, value]) => `${visible(field)}=${quotedUnlessPlain(plain(value))}`);
  return `${columns.join(" ")}${given.length === 0 ? "" : `  ${paint(faint, given.join(" "))}`}`;
}

function parsed(json: string): Record<string, unknown> {
  try {
    return JSON.parse(json) as Record<string, unknown>;
  } catch {
    // What was taken out of the line was a part of its form.
    return { msg: json.trimEnd() };
  }
}

/** Unless the sentence is the reason. */
function reasonOf(err: unknown, msg: unknown): string {
  if (typeof err !== "object" || err === null || !("message" in err) || err.message === msg) return "";
  return `: ${plain(err.message)}`;
}

const plain = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
