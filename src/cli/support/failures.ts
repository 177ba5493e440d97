// Room: cli. Owns how the program ends after a failure: one sentence on stderr, and an exit status.
import { CommanderError } from "commander";
import { printable } from "../output/format.ts";
import { ReaderGone } from "../output/output.ts";
import { Interrupted } from "./interruption.ts";

/** Every failure was already printed, one sentence each; only the exit status is left. */
export class AlreadySaid extends Error {
  override readonly name = "AlreadySaid";
}

/** 0 for help, 1 for a failure, 2 for a usage error, 128 + the signal's number for an interruption. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof Interrupted) return error.exitStatus;
  if (error instanceof ReaderGone) return 128 + 13;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return 1;
}

/** The line to print for `error`; undefined if there is nothing (more) to print. */
export function sentenceOf(error: unknown): string | undefined {
  if (error instanceof ReaderGone || error instanceof AlreadySaid || error instanceof CommanderError) return undefined;
  const message = error instanceof Error ? error.message : String(error);
  return `snapmill: ${oneLine(message)}`;
}

const invalidArgumentOf = /^command-argument value '.*' is invalid for argument '[^']*'\. /s;
const invalidOption = /^option '(?:-\w, )?(--[\w-]+)[^']*' argument '.*' is invalid\. /s;

const missingArgument = /^missing required argument '[^']*'/;

/** Commander's usage error as one of our lines. Where our parsers say what is wrong, only their words are kept. */
export const usageSentence = (text: string): string =>
  `snapmill: ${oneLine(
    text
      .replace(/^error: /, "")
      .replace(invalidArgumentOf, "")
      .replace(invalidOption, "$1: ")
      .replace(missingArgument, "$&: see --help"),
  )}`;

const oneLine = (text: string): string => printable(text.trim().replace(/\s*\n\s*/g, " "));
