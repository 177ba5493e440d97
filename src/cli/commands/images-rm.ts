// Room: cli. Owns `snapmill images rm`.
import type { Command } from "commander";
import type { ImageTarget } from "../../service/image-targets.ts";
import { printable } from "../output/format.ts";
import { printJson, printLines, say } from "../output/output.ts";
import { freedLine, keptSentence } from "../output/removed-images.ts";
import { openPool } from "../pool/open.ts";
import { AlreadySaid } from "../support/failures.ts";
import {
  type PlatformOption,
  parseTargets,
  platformOption,
  targetsInFull,
  targetsText,
  wantsJson,
} from "../support/image-options.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, jsonOption } from "../support/options.ts";

export function addImagesRm(images: Command): void {
  images
    .command("rm")
    .description(
      "remove names of images; an image without a name goes with every layer that nothing else uses; a digest means all names",
    )
    .summary("remove images")
    .argument("<image...>", targetsText, parseTargets)
    .addOption(platformOption())
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", whatStays)
    .addHelpText(
      "after",
      examples(
        ["images rm alpine:3.20 oci:./image:latest", "by name"],
        ["images rm sha256:ab12cd34ef56", "by manifest digest, with all names"],
      ),
    )
    .action(async (targets: readonly ImageTarget[], { platform }: PlatformOption, command: Command) => {
      await using pool = await openPool(command);
      using interruption = catchInterruption();
      const removed = await pool.removeImages({ targets: targetsInFull(command, targets), platform }, interruption);
      const { kept, names, images: gone } = removed;
      if (wantsJson(command)) await printJson(removed);
      else {
        await printLines([
          ...names.map(({ reference, platform }) => `removed the name ${printable(reference)} (${platform})`),
          ...gone.map(({ manifestDigest, platform }) => `removed the image ${manifestDigest} (${platform})`),
          freedLine(removed),
        ]);
      }
      for (const each of kept) say(`snapmill: ${keptSentence(each)}`);
      if (kept.some(({ kind }) => kind !== "in use")) throw new AlreadySaid();
    });
}

const whatStays = `
A layer stays while another image, a snapshot, a client of containerd's socket or a running unpack uses it. Once nothing
does, it is removed automatically. A pinned image is not removed.`;
