// Room: test. Owns the proof that a screenshot that was made small shows what it showed.
import { expect, test } from "bun:test";
import { withPalette } from "../../scripts/small-png.ts";
import { Chromium, chromiumProgram } from "../support/browser/chromium.ts";
import { testWith } from "../support/tools.ts";

testWith([chromiumProgram], "a picture with a palette is smaller, and is the same to a browser", async () => {
  await using browser = await Chromium.start();
  const colours = ["#15181b", "#fbfbfa", "#a3131a", "#0b5394"].map(
    (colour, index) => `<div style="background:${colour};height:40px;width:${100 + index * 37}px">text ${colour}</div>`,
  );
  await using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(`<!doctype html>${colours.join("")}`, { headers: { "content-type": "text/html" } }),
  });
  await using tab = await browser.open(server.url.href, { width: 390, height: 300 });
  await tab.goTo("/");
  const taken = await tab.page.screenshot();
  const small = withPalette(taken);
  expect(small.length).toBeLessThan(taken.length);
  const differences = await tab.page.evaluate<{ pixels: number; most: number }>(
    `(async () => {
      const pixelsOf = async (base64) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
        canvas.drawImage(bitmap, 0, 0);
        return canvas.getImageData(0, 0, bitmap.width, bitmap.height).data;
      };
      const [one, other] = [await pixelsOf("${taken.toString("base64")}"), await pixelsOf("${small.toString("base64")}")];
      const apart = one.map((value, index) => Math.abs(value - other[index]));
      return { pixels: one.length / 4, most: apart.reduce((most, value) => Math.max(most, value), 0) };
    })()`,
  );
  expect(differences.pixels).toBe(390 * 300);
  expect(differences.most).toBeLessThan(16);
});

test("what is not such a picture is refused", () => {
  expect(() => withPalette(Buffer.from("89504e470d0a1a0a", "hex"))).toThrow("this kind of PNG is not read");
});
