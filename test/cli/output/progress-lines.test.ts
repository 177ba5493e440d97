import { expect, test } from "bun:test";
import { progressLines } from "../../../src/cli/output/progress-lines.ts";
import { digest } from "../../../src/domain/identifiers.ts";
import type { LayerProgress } from "../../../src/service/unpack.ts";

const name = (first: number) => digest(`sha256:${first.toString(16).padStart(2, "0")}${"0".repeat(62)}`);

function layer(first: number, state: LayerProgress["state"], readBytes = 0): LayerProgress {
  return { digest: name(first), state, compressedBytes: 4096, readBytes };
}

const wide = { columns: 100, rows: 20 };

test("an image whose worker has not begun says so", () => {
  expect(progressLines([{ reference: "oci:x", layers: [] }], wide)).toEqual(["oci:x: waiting for a worker"]);
});

test("every layer has a line with its state", () => {
  const layers = [layer(1, "cached"), layer(2, "unpacked", 4096), layer(3, "unpacking", 2048), layer(4, "waiting")];
  expect(progressLines([{ reference: "oci:x", layers }], wide)).toEqual([
    "oci:x: 2 of 4 layers",
    "  sha256:010000000000  [==============================]  cached 4.0 KiB",
    "  sha256:020000000000  [==============================]  done   4.0 KiB",
    "  sha256:030000000000  [==============>               ]   50 %  2.0 KiB of 4.0 KiB",
    "  sha256:040000000000  [                              ]         4.0 KiB",
  ]);
});

test("more was read than the layer has: the bar ends at 100 %", () => {
  const [, line] = progressLines([{ reference: "oci:x", layers: [layer(1, "unpacking", 9999)] }], wide);
  expect(line).toContain("[==============================]  100 %");
});

test("an empty layer being unpacked is at 0 %", () => {
  const empty = { ...layer(1, "unpacking"), compressedBytes: 0 };
  expect(progressLines([{ reference: "oci:x", layers: [empty] }], wide)[1]).toContain("  0 %  0 B of 0 B");
});

test("with too many layers, the finished and the waiting ones are counted", () => {
  const layers = [
    ...Array.from({ length: 30 }, (_, index) => layer(index, "unpacked")),
    layer(30, "unpacking", 1024),
    ...Array.from({ length: 9 }, (_, index) => layer(31 + index, "waiting")),
  ];
  expect(progressLines([{ reference: "oci:x", layers }], { columns: 100, rows: 10 })).toEqual([
    "oci:x: 30 of 40 layers",
    "  30 layers done",
    "  sha256:1e0000000000  [======>                       ]   25 %  1.0 KiB of 4.0 KiB",
    "  9 layers waiting",
  ]);
});

test.each([1, 2, 3, 5, 20])("with %d images, there are never more lines than rows", (count) => {
  const layers = Array.from({ length: 12 }, (_, index) => layer(index, "unpacking", 1));
  const images = Array.from({ length: count }, (_, index) => ({ reference: `oci:${index}`, layers }));
  const lines = progressLines(images, { columns: 40, rows: 7 });
  expect(lines.length).toBeLessThanOrEqual(7);
  for (const line of lines) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(40);
});

test("on 80 columns the sizes of a layer are shown in full", () => {
  const large = { ...layer(1, "unpacking"), compressedBytes: 13 * 2 ** 20, readBytes: 11 * 2 ** 20 };
  const [, line] = progressLines([{ reference: "oci:x", layers: [large] }], { columns: 79, rows: 20 });
  expect(line).toEndWith("%  11.0 MiB of 13.0 MiB");
});

test("a long line is cut, also between wide characters", () => {
  const [line] = progressLines([{ reference: "層".repeat(40), layers: [] }], { columns: 20, rows: 5 });
  expect(line).toBe(`${"層".repeat(9)}…`);
});

test("a reference cannot steer the terminal", () => {
  const [line] = progressLines([{ reference: "oci:\u001b[2J", layers: [] }], wide);
  expect(line).not.toContain("\u001b");
});
