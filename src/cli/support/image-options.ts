// Room: cli. Owns how commands on images are told which.
import { type Command, InvalidArgumentError, Option } from "commander";
import { formatPlatform, parsePlatform } from "../../images/platform.ts";
import { absoluteReference } from "../../images/reference.ts";
import type { ImageTarget } from "../../service/image-targets.ts";
import { accept, type JsonOption } from "./options.ts";

export interface PlatformOption {
  readonly platform?: string;
}

export const platformOption = (): Option =>
  new Option("--platform <os/arch>", "only the images of this platform (default: of all)").argParser(
    accept((text: string) => formatPlatform(parsePlatform(text))),
  );

/** Whether a subcommand of images was given --json: commander takes it for the option of that name that images has. */
export const wantsJson = (command: Command): boolean => command.optsWithGlobals<JsonOption>().json === true;

/** What the argument of these commands is. */
export const targetsText =
  "references as 'snapmill images' shows them or as unpack takes them, or digests (12 digits will do)";

/** A reference is made absolute as it is for unpack; text that begins like a digest is one. */
export const parseTargets = (text: string, previous: readonly ImageTarget[] | undefined): readonly ImageTarget[] => [
  ...(previous ?? []),
  parseTarget(text),
];

function parseTarget(text: string): ImageTarget {
  if (!text.startsWith("sha256:")) {
    return { reference: accept((reference: string) => absoluteReference(reference, process.cwd()))(text) };
  }
  if (/^sha256:[0-9a-f]{12,64}$/.test(text)) return { digest: text };
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a digest: give sha256: and at least 12 of its digits`);
}
