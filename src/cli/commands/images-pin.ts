// Room: cli. Owns `snapmill images pin` and `unpin`.
import type { Command } from "commander";
import type { ImageTarget } from "../../service/image-targets.ts";
import { printJson, printLines } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import {
  type PlatformOption,
  parseTargets,
  platformOption,
  targetsInFull,
  targetsText,
  wantsJson,
} from "../support/image-options.ts";
import { examples, jsonOption } from "../support/options.ts";

export function addImagesPin(images: Command): void {
  images
    .command("pin")
    .description("protect images: rm, prune, cleanup and a reset of the pool never remove a pinned image")
    .summary("protect images from removal")
    .argument("<image...>", targetsText, parseTargets)
    .addOption(platformOption())
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", examples(["images pin alpine:3.20", "for all platforms that were unpacked"]))
    .action(pinAction("pinImages", "pinned"));
}

export function addImagesUnpin(images: Command): void {
  images
    .command("unpin")
    .description("allow pinned images to be removed again")
    .summary("allow pinned images to be removed again")
    .argument("<image...>", targetsText, parseTargets)
    .addOption(platformOption())
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", examples(["images unpin sha256:ab12cd34ef56", "by its manifest digest"]))
    .action(pinAction("unpinImages", "unpinned"));
}

const pinAction =
  (pin: "pinImages" | "unpinImages", done: string) =>
  async (targets: readonly ImageTarget[], { platform }: PlatformOption, command: Command) => {
    await using pool = await openPool(command);
    const { images } = await pool[pin]({ targets: targetsInFull(command, targets), platform });
    if (wantsJson(command)) await printJson({ images });
    else await printLines(images.map((image) => `${done} ${image.manifestDigest} (${image.platform})`));
  };
