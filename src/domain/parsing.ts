// Room: domain. Owns how a parsing function becomes part of a schema, whatever library that is written with.

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
