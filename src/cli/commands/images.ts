// Room: cli. Owns `snapmill images`.
import type { Command } from "commander";
import { formatSize } from "../../domain/units.ts";
import type { NamedImage } from "../../service/images.ts";
import { formatTime, shortDigests } from "../output/format.ts";
import { type Listing, printList } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { addImagesPin, addImagesUnpin } from "./images-pin.ts";
import { addImagesPrune } from "./images-prune.ts";
import { addImagesRm } from "./images-rm.ts";

export function addImages(program: Command): void {
  const command = program
    .command("images")
    .description("list the unpacked images and their snapshots; remove, prune and pin images")
    .summary("list, remove, prune and pin images")
    .option("--full", "show digests in full")
    .addOption(jsonOption("one JSON object per name of an image"))
    .addHelpText("after", whatNumbersMean)
    .addHelpText(
      "after",
      examples(
        ["images", "what was unpacked"],
        ["images --json | jq -r .snapshot", "snapshots only"],
        ["images rm alpine:3.20", "remove a name; the image goes with its last name"],
        ["images prune --older-than 30d --dry-run", "what was not requested in a month"],
      ),
    )
    .action(async (options: JsonOption & { readonly full?: true }, command: Command) => {
      await using pool = await openPool(command);
      await printList(await pool.listImages({}), imageListing(options.full ? (text) => text : shortDigests), options);
    });
  addImagesRm(command);
  addImagesPrune(command);
  addImagesPin(command);
  addImagesUnpin(command);
}

const whatNumbersMean = `
SIZE is the size of the files in the layers. EXCLUSIVE is the space in the pool that only this image uses, SHARED the space
that other images or snapshots use, too. Both were measured when each layer was committed; a very small layer may count 0.`;

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
    { title: "REQUESTED" },
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
