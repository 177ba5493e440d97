// Room: test. Owns the examples of docs/API.md: how they are read, run against a real `up`, and compared.
import { paths } from "../../../src/config.ts";
import type { RunningApi } from "./running-api.ts";

export interface Example {
  readonly command: string;
  /** What the page says that it prints: JSON, and the status in a line of its own. Empty: nothing is said. */
  readonly output: string;
}

/** The commands of a page's blocks of `sh`, each with the lines below it. */
export function examplesIn(page: string): Example[] {
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = ""]) => text);
  return blocks.flatMap((text) =>
    text
      .split(/^\$ /m)
      .filter((part) => part !== "")
      .map((part) => {
        const lines = part.trimEnd().split("\n");
        const end = lines.findIndex((line) => !line.endsWith("\\")) + 1;
        return { command: lines.slice(0, end).join("\n"), output: lines.slice(end).join("\n") };
      }),
  );
}

/** What the page's own names are in a test. */
export interface Stage {
  readonly api: RunningApi;
  /** Of an image of three layers. */
  readonly reference: string;
}

/** Runs a command as the page has it, in a shell that knows the definitions before it. */
export async function run({ api, reference }: Stage, definitions: readonly string[], command: string): Promise<string> {
  const script = [...definitions, command]
    .join("\n")
    .replaceAll("/var/lib/snapmill/http-token", paths.httpToken(api.place.config))
    .replaceAll("http://127.0.0.1:7070", api.url)
    .replaceAll("oci:/images/app:v1", reference);
  const child = Bun.spawn(["bash", "-c", script], { stdout: "pipe", stderr: "inherit" });
  const [stdout] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  return stdout.trimEnd();
}

/** Defines something for the commands after it, and prints nothing. */
export const isDefinition = (command: string): boolean => /^(\w+=|\w+\(\))/.test(command);

/** An answer as JSON and status. */
export function answerIn(output: string): { readonly status: string; readonly body: unknown } {
  const lines = output.split("\n");
  const status = lines.pop() ?? "";
  const text = lines.join("\n").trim();
  return { status, body: text === "" ? undefined : JSON.parse(text) };
}

/** Where the found value has other fields or kinds than the one that is said; of arrays the first items count, null is any. */
export function differences(said: unknown, found: unknown, at = "answer"): string[] {
  if (said === null || found === null) return [];
  if (Array.isArray(said) && Array.isArray(found)) {
    return said.length === 0 || found.length === 0 ? [] : differences(said[0], found[0], `${at}[0]`);
  }
  if (typeof said !== typeof found || Array.isArray(said) !== Array.isArray(found)) return [`${at} is of another kind`];
  if (typeof said !== "object" || typeof found !== "object") return [];
  const [one, other] = [said as Record<string, unknown>, found as Record<string, unknown>];
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((name) =>
    name in one && name in other
      ? differences(one[name], other[name], `${at}.${name}`)
      : [`${at}.${name} is only ${name in one ? "on the page" : "in the answer"}`],
  );
}
