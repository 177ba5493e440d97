// Room: cli. Owns `snapmill images pin` and `unpin`.
import type { Command } from "commander";
import type { ImageTarget } from "../../service/image-targets.ts";
import { LocalService } from "../../service/local-service.ts";
import { pinImages, unpinImages } from "../../service/pin-images.ts";
import { notice, printJson, printLines } from "../output/output.ts";
import { type PlatformOption, parseTargets, platformOption, targetsText, wantsJson } from "../support/image-options.ts";
import { configOf, examples, jsonOption } from "../support/options.ts";

export function addImagesPin(images: Command): void {
  images
    .command("pin")
    .description("keep images: no removal, prune, cleanup or reset of the pool takes one that is pinned")
    .summary("keep images from every removal")
    .argument("<image...>", targetsText, parseTargets)
    .addOption(platformOption())
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", examples(["images pin alpine:3.20", "all platforms of it that were unpacked"]))
    .action(pinAction(pinImages, "pinned"));
}

export function addImagesUnpin(images: Command): void {
  images
    .command("unpin")
    .description("let images go again that were pinned")
    .summary("let pinned images go again")
    .argument("<image...>", targetsText, parseTargets)
    .addOption(platformOption())
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", examples(["images unpin sha256:ab12cd34ef56", "by the digest of its manifest"]))
    .action(pinAction(unpinImages, "unpinned"));
}

const pinAction =
  (pin: typeof pinImages, done: string) =>
  async (targets: readonly ImageTarget[], { platform }: PlatformOption, command: Command) => {
    await using service = new LocalService(configOf(command), notice);
    const { images } = await pin(service, { targets: [...targets], platform });
    if (wantsJson(command)) await printJson({ images });
    else await printLines(images.map((image) => `${done} ${image.manifestDigest} (${image.platform})`));
  };
