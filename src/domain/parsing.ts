// Room: domain. Owns how a parsing function becomes part of a schema, whatever library that is written with, and how
// what a schema refuses is told.

/** What a schema's transformation can say that its input is refused by. */
interface Refusals {
  addIssue(issue: { readonly code: "custom"; readonly message: string }): void;
}

/** `parse` as a schema's transformation: what it throws becomes an issue with the same message. */
export const parsing =
  <Given, Parsed>(parse: (given: Given) => Parsed) =>
  (given: Given, context: Refusals): Parsed => {
    try {
      return parse(given);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      // An input with an issue has no output: this is not looked at.
      return undefined as never;
    }
  };

/** What a schema has against its input. */
interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** How many faults of one input a message lists. */
const listedFaults = 8;

/** `key: must not be empty; labels: give labels as texts by name` */
export function faultsOf(issues: readonly Issue[]): string {
  const listed = issues
    .slice(0, listedFaults)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`));
  return [...listed, ...(issues.length > listedFaults ? [`and ${issues.length - listedFaults} more`] : [])].join("; ");
}
