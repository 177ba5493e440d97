import { expect, test } from "bun:test";
import { CommanderError } from "commander";
import { ReaderGone } from "../../../src/cli/output/output.ts";
import { AlreadySaid, exitStatusOf, sentenceOf, usageSentence } from "../../../src/cli/support/failures.ts";
import { Interrupted } from "../../../src/cli/support/interruption.ts";
import { notFound } from "../../../src/domain/errors.ts";

test.each([
  ["a failure", notFound("no"), 1],
  ["what is not even an error", "no", 1],
  ["failures that were said already", new AlreadySaid(), 1],
  ["a wrong command line", new CommanderError(1, "commander.unknownOption", "error: no"), 2],
  ["help", new CommanderError(0, "commander.helpDisplayed", "(outputHelp)"), 0],
  ["Ctrl-C", new Interrupted("SIGINT"), 130],
  ["SIGTERM", new Interrupted("SIGTERM"), 143],
  ["a reader that went away", new ReaderGone(), 141],
])("%s ends with its exit status", (_what, error, status) => {
  expect(exitStatusOf(error)).toBe(status);
});

test.each([
  ["a failure", notFound("snapshot x is missing"), "snapmill: snapshot x is missing"],
  ["a failure of several lines", new Error("first\n  second\n"), "snapmill: first second"],
  ["a failure with control characters", new Error("a\u001b[31mb"), "snapmill: a\\u001b[31mb"],
  ["what is not even an error", "oops", "snapmill: oops"],
  ["an interruption", new Interrupted("SIGINT"), "snapmill: interrupted by SIGINT"],
])("%s is one sentence", (_what, error, sentence) => {
  expect(sentenceOf(error)).toBe(sentence);
});

test.each([
  ["what was said already", new AlreadySaid()],
  ["what commander said", new CommanderError(1, "commander.unknownOption", "error: no")],
  ["a reader that went away", new ReaderGone()],
])("of %s there is nothing more to say", (_what, error) => {
  expect(sentenceOf(error)).toBeUndefined();
});

test.each([
  ["error: unknown option '--jsn'\n(Did you mean --json?)\n", "unknown option '--jsn' (Did you mean --json?)"],
  ["error: missing required argument 'name'\n", "missing required argument 'name': see --help"],
  ["error: command-argument value 'it''s' is invalid for argument 'filter'. filter: no\n", "filter: no"],
  ["error: option '--size <size>' argument '3x' is invalid. size 3x: no\n", "--size: size 3x: no"],
  ["error: option '-l, --label <name=value>' argument 'x' is invalid. no\n", "--label: no"],
])("commander's %j becomes one line of ours", (text, sentence) => {
  expect(usageSentence(text)).toBe(`snapmill: ${sentence}`);
});
