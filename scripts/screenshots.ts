// Room: scripts. Owns `npm run screenshots`: pictures of every page for docs/DASHBOARD.md, from a real `up` with content.
//
//   npm run screenshots [-- WORDS]       the pages whose address contains one of the words; default: all
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pages } from "../src/api/http/pages/pages.ts";
import { type Content, makeContent } from "../test/browser/page-content.ts";
import { SignedIn } from "../test/browser/signed-in.ts";
import { Chromium } from "../test/support/browser/chromium.ts";
import { pictureDirectory, pictureFiles, pictureViews } from "./picture-files.ts";
import { withPalette } from "./small-png.ts";

const documents = join(import.meta.dir, "../docs");
const mostBytes = 150_000;
/** In CSS pixels: what is further down is left out. */
const mostHigh = 1_400;

async function main(words: readonly string[]): Promise<void> {
  mkdirSync(join(documents, pictureDirectory), { recursive: true });
  await using browser = await Chromium.start();
  await using content = await makeContent("build-7c1f");
  const people = new SignedIn(browser, content.api.url);
  const chosen = pages.filter(({ path }) => words.length === 0 || words.some((word) => path.includes(word)));
  for (const { path } of chosen) await takePictures(path, people, content);
}

/** Fails when one of them would burden the repository. */
async function takePictures(path: string, people: SignedIn, { api, addresses }: Content): Promise<void> {
  const address = addresses[path];
  if (address === undefined) throw new Error(`test/browser/page-content.ts has no address for the page ${path}`);
  for (const [index, view] of Object.values(pictureViews).entries()) {
    await using tab = await people.open(api.token, view);
    const status = await tab.goTo(address);
    if (status !== 200) throw new Error(`${address} was answered ${status}`);
    const file = pictureFiles(path)[index] ?? "";
    const { page } = tab;
    const height = await page.evaluate<number>("Math.ceil(document.body.getBoundingClientRect().bottom)");
    const clip = { x: 0, y: 0, width: view.width ?? 0, height: Math.min(height, mostHigh) };
    const picture = withPalette(await page.screenshot({ fullPage: true, clip }));
    if (picture.length > mostBytes) throw new Error(`${file} has ${picture.length} bytes: show less on the page`);
    writeFileSync(join(documents, file), picture);
    console.log(`docs/${file}: ${Math.ceil(picture.length / 1000)} kB`);
  }
}

await main(process.argv.slice(2));
