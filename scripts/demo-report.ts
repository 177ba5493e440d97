// Room: scripts. Owns what the demo prints: its steps, the table of layers, what to try next.
import { formatRate, formatTable, plural, shortDigests } from "../src/cli/output/format.ts";
import { bold, printLines } from "../src/cli/output/output.ts";
import { formatDuration, formatSize } from "../src/domain/units.ts";
import type { UnpackedImage } from "../src/jobs/contract.ts";

const commandLine = (args: readonly string[]): string => ["./snapmill", ...args].join(" ");

/** A step's title, and the command that it runs. */
export async function heading(title: string, command?: readonly string[]): Promise<void> {
  const shown = command === undefined ? [] : [`$ ${shortDigests(["snapmill", ...command].join(" "))}`];
  await printLines(["", bold(title), ...shown]);
}

export function layerTable(image: UnpackedImage, ms: number): string[] {
  const columns = [
    { title: "LAYER" },
    { title: "STORED", align: "right" },
    { title: "SIZE", align: "right" },
    { title: "TIME", align: "right" },
  ] as const;
  const sum = (field: "compressedBytes" | "bytes") => image.layers.reduce((total, layer) => total + layer[field], 0);
  return [
    ...formatTable(columns, [
      ...image.layers.map((layer) => [
        shortDigests(layer.digest),
        formatSize(layer.compressedBytes),
        formatSize(layer.bytes),
        layer.cached ? "cached" : formatDuration(layer.ms),
      ]),
      [
        plural(image.layers.length, "layer"),
        formatSize(sum("compressedBytes")),
        formatSize(sum("bytes")),
        formatDuration(ms),
      ],
    ]),
    `${formatRate(sum("bytes"), ms)}, from the command to its end; the snapshot is ${image.snapshot}`,
  ];
}

/** What a comparison found. */
export interface Comparison {
  readonly compared: number;
  readonly differences: readonly string[];
}

export const outcomeLine = ({ compared, differences }: Comparison, ms: number): string =>
  differences.length === 0
    ? `${plural(compared, "file")} identical: content, types, modes, owners, times, links (${formatDuration(ms)})`
    : `${plural(differences.length, "difference")} in ${plural(compared, "file")}:`;

export interface Place {
  readonly reference: string;
  readonly image: UnpackedImage;
  readonly stateDir: string;
  readonly mountpoint: string;
  readonly home: string;
}

export function nextCommands({ reference, image, stateDir, mountpoint, home }: Place): string[] {
  const snapshot = shortDigests(image.snapshot);
  const here = ["--state-dir", stateDir];
  return [
    "",
    bold("What to try next"),
    "Look at what there is now:",
    `  ${commandLine(["ls", ...here])}`,
    `  ${commandLine(["stat", snapshot, ...here])}`,
    `  ${commandLine(["images", ...here])}`,
    "Unpack it again (every layer is there already), or an image of yours:",
    `  ${commandLine(["unpack", reference, ...here])}`,
    "Keep everything running, with a dashboard, until Ctrl-C; then, in another terminal, mount and change things:",
    `  ${commandLine(["up", ...here])}`,
    `  ${commandLine(["mount", snapshot, mountpoint, ...here])}`,
    `  ${commandLine(["umount", mountpoint, ...here])}`,
    `  ${commandLine(["prepare", "mine", snapshot, ...here])}`,
    `  ${commandLine(["status", ...here])}`,
    "Forget all of it:",
    `  rm -rf ${home}`,
  ];
}
