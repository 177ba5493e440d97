// Room: bench. Owns umoci, which unpacks an image into a directory.
import { join } from "node:path";
import { runTool, type Tools, type Way } from "./way.ts";

export const umoci = (tools: Tools): Way => ({
  name: "umoci",
  lacks: ({ compression }) => (compression === "zstd" ? "knows no zstd" : undefined),
  open: (directory, { layout, images }) =>
    Promise.resolve({
      unpack: async () => {
        for (const { tag } of images) {
          await runTool(tools, "umoci", "unpack", "--image", `${layout}:${tag}`, join(directory, tag));
        }
      },
      written: [directory],
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
});
