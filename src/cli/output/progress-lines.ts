// Room: cli. Owns how the progress of unpacks looks on a terminal; pure functions.

import { formatSize } from "../../domain/units.ts";
import type { LayerProgress } from "../../service/unpack.ts";
import { pad, plural, printable, shortDigests } from "./format.ts";

export interface ImageProgress {
  readonly reference: string;
  /** Bottom layer first; empty until the worker has read the image's manifest. */
  readonly layers: readonly LayerProgress[];
}

/** The space on the terminal. */
export interface Room {
  readonly columns: number;
  readonly rows: number;
}

const widestBar = 30;
/** The width of everything else in a layer's line, with sizes like "1023.9 MiB". */
const besideBar = 56;

const barWidthIn = (columns: number): number => Math.min(widestBar, Math.max(0, columns - besideBar));

/** At most `room.rows` lines of at most `room.columns`: each image with a bar per layer, as far as they fit. */
export function progressLines(images: readonly ImageProgress[], room: Room): string[] {
  const rowsEach = Math.max(2, Math.floor(room.rows / Math.max(images.length, 1)));
  return images
    .flatMap((image) => [heading(image), ...layerLines(image.layers, rowsEach - 1, barWidthIn(room.columns))])
    .slice(0, room.rows)
    .map((line) => cut(line, room.columns));
}

const isDone = ({ state }: LayerProgress) => state === "unpacked" || state === "cached";

function heading({ reference, layers }: ImageProgress): string {
  if (layers.length === 0) return `${printable(reference)}: waiting for a worker`;
  return `${printable(reference)}: ${layers.filter(isDone).length} of ${plural(layers.length, "layer")}`;
}

/** One line per layer. If there are too many, finished and waiting layers are only counted. */
function layerLines(layers: readonly LayerProgress[], rows: number, barWidth: number): string[] {
  const lineOf = (layer: LayerProgress) => layerLine(layer, (share) => bar(share, barWidth));
  if (layers.length <= rows) return layers.map(lineOf);
  const done = layers.filter(isDone).length;
  const waiting = layers.filter(({ state }) => state === "waiting").length;
  const running = layers.filter(({ state }) => state === "unpacking");
  const counted = [
    ...(done > 0 ? [`  ${plural(done, "layer")} done`] : []),
    ...running.map(lineOf),
    ...(waiting > 0 ? [`  ${plural(waiting, "layer")} waiting`] : []),
  ];
  return counted.slice(0, Math.max(rows, 0));
}

function layerLine(layer: LayerProgress, barOf: (share: number) => string): string {
  const name = shortDigests(layer.digest);
  const total = formatSize(layer.compressedBytes);
  switch (layer.state) {
    case "waiting":
      return `  ${name}  ${barOf(0)}         ${total}`;
    case "unpacking": {
      const share = layer.compressedBytes > 0 ? Math.min(1, layer.readBytes / layer.compressedBytes) : 0;
      const percent = pad(String(Math.floor(share * 100)), 3, "right");
      return `  ${name}  ${barOf(share)}  ${percent} %  ${formatSize(layer.readBytes)} of ${total}`;
    }
    case "unpacked":
      return `  ${name}  ${barOf(1)}  done   ${total}`;
    case "cached":
      return `  ${name}  ${barOf(1)}  cached ${total}`;
  }
}

function bar(share: number, barWidth: number): string {
  const filled = Math.floor(share * barWidth);
  const head = share > 0 && share < 1 ? ">" : "";
  return `[${("=".repeat(Math.max(0, filled - head.length)) + head).padEnd(barWidth)}]`;
}

/** `line`, truncated to `columns`: a wrapped line would put the cursor in the wrong row when the bars are redrawn. */
function cut(line: string, columns: number): string {
  if (Bun.stringWidth(line) <= columns) return line;
  let kept = "";
  for (const character of line) {
    if (Bun.stringWidth(kept + character) > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}
