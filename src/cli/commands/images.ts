// Room: cli. Owns `snapmill images`.
import type { Command } from "commander";
import { formatSize } from "../../domain/units.ts";
import { images, type NamedImage } from "../../service/images.ts";
import { LocalService } from "../../service/local-service.ts";
import { formatTime, shortDigests } from "../output/format.ts";
import { type Listing, notice, printList } from "../output/output.ts";
import { configOf, examples, type JsonOption, jsonOption } from "../support/options.ts";
import { addImagesPin, addImagesUnpin } from "./images-pin.ts";
import { addImagesPrune } from "./images-prune.ts";
import { addImagesRm } from "./images-rm.ts";

export function addImages(program: Command): void {
  const command = program
    .command("images")
    .description("list the images that were unpacked, and the snapshots that show them; remove, prune and pin them")
    .summary("list, remove, prune and pin images")
    .option("--full", "digests in full length")
    .addOption(jsonOption("one JSON object an image and name"))
    .addHelpText("after", whatNumbersMean)
    .addHelpText(
      "after",
      examples(
        ["images", "what was unpacked"],
        ["images --json | jq -r .snapshot", "snapshots only"],
        ["images rm alpine:3.20", "remove a name, and with the last one the image"],
        ["images prune --older-than 30d --dry-run", "what was not asked for in a month"],
      ),
    )
    .action(async (options: JsonOption & { readonly full?: true }, command: Command) => {
      await using service = new LocalService(configOf(command), notice);
      await printList(images(service, {}), imageListing(options.full ? (text) => text : shortDigests), options);
    });
  addImagesRm(command);
  addImagesPrune(command);
  addImagesPin(command);
  addImagesUnpin(command);
}

const whatNumbersMean = `
SIZE is that of the layers' files. EXCLUSIVE is what the pool holds for this image alone, SHARED what other images or
snapshots use as well, as measured when each layer was committed; layers below a few blocks may measure 0.`;

const imageListing = (name: (text: string) => string): Listing<NamedImage> => ({
  columns: [
    { title: "IMAGE" },
    { title: "DIGEST" },
    { title: "PLATFORM" },
    { title: "SNAPSHOT" },
    { title: "LAYERS", align: "right" },
    { title: "SIZE", align: "right" },
    { title: "EXCLUSIVE", align: "right" },
    { title: "SHARED", align: "right" },
    { title: "ASKED FOR" },
    { title: "PINNED" },
  ],
  row: (image) => [
    image.image ?? "<none>",
    name(image.manifestDigest),
    image.platform,
    name(image.snapshot),
    String(image.layers.length),
    formatSize(image.layers.reduce((sum, { bytes }) => sum + bytes, 0)),
    formatSize(image.exclusiveBytes),
    formatSize(image.sharedBytes),
    formatTime(image.lastAskedAtMs),
    image.pinnedAtMs === undefined ? "" : "pinned",
  ],
  json: (image) => image,
});
