// Room: cli. Owns `snapmill images`.
import type { Command } from "commander";
import { formatSize } from "../../domain/units.ts";
import { images } from "../../service/images.ts";
import { LocalService } from "../../service/local-service.ts";
import { formatTime, shortDigests } from "../output/format.ts";
import { type Listing, notice, printList } from "../output/output.ts";
import { configOf, examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addImages(program: Command): void {
  program
    .command("images")
    .description("list the images that were unpacked, and the snapshots that show them")
    .summary("list the images that were unpacked")
    .option("--full", "digests in full length")
    .addOption(jsonOption("one JSON object an image"))
    .addHelpText(
      "after",
      examples(["images", "what was unpacked"], ["images --json | jq -r .snapshot", "snapshots only"]),
    )
    .action(async (options: JsonOption & { readonly full?: true }, command: Command) => {
      await using service = new LocalService(configOf(command), notice);
      await printList(images(service, {}), imageListing(options.full ? (text) => text : shortDigests), options);
    });
}

const imageListing = (name: (text: string) => string): Listing<ReturnType<typeof images>[number]> => ({
  columns: [
    { title: "IMAGE" },
    { title: "PLATFORM" },
    { title: "SNAPSHOT" },
    { title: "LAYERS", align: "right" },
    { title: "SIZE", align: "right" },
    { title: "UNPACKED" },
  ],
  row: ({ image, platform, snapshot, layers, unpackedAtMs }) => [
    image ?? "<none>",
    platform,
    name(snapshot),
    String(layers.length),
    formatSize(layers.reduce((sum, { bytes }) => sum + bytes, 0)),
    formatTime(unpackedAtMs),
  ],
  json: (image) => image,
});
