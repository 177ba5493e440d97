// Room: cli. Owns the options and arguments that select images.
import { type Command, InvalidArgumentError, Option } from "commander";
import { formatPlatform, parsePlatform } from "../../images/platform.ts";
import { absoluteReference } from "../../images/reference.ts";
import type { ImageTarget } from "../../service/image-targets.ts";
import { referencesOf } from "./host-paths.ts";
import { accept, type JsonOption } from "./options.ts";

export interface PlatformOption {
  readonly platform?: string;
}

export const platformOption = (): Option =>
  new Option("--platform <os/arch>", "only images of this platform (default: all)").argParser(
    accept((text: string) => formatPlatform(parsePlatform(text))),
  );

/** Whether a subcommand of `images` was given --json: commander assigns it to the option of `images` itself. */
export const wantsJson = (command: Command): boolean => command.optsWithGlobals<JsonOption>().json === true;

/** The help text of the argument. */
export const targetsText =
  "references as shown by 'snapmill images' or as given to unpack, or digests (12 digits are enough)";

/** Text that begins with `sha256:` is a digest; anything else is a reference, as given: see `targetsInFull`. */
export const parseTargets = (text: string, previous: readonly ImageTarget[] | undefined): readonly ImageTarget[] => [
  ...(previous ?? []),
  parseTarget(text),
];

function parseTarget(text: string): ImageTarget {
  if (!text.startsWith("sha256:")) {
    accept((reference: string) => absoluteReference(reference, process.cwd()))(text);
    return { reference: text };
  }
  if (/^sha256:[0-9a-f]{12,64}$/.test(text)) return { digest: text };
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a digest: give sha256: and at least 12 of its digits`);
}

/** The targets with their references in full, as for unpack. */
export function targetsInFull(command: Command, targets: readonly ImageTarget[]): ImageTarget[] {
  const inFull = referencesOf(command);
  return targets.map((target) => ("reference" in target ? { reference: inFull(target.reference) } : target));
}
