// The pages of unpacks over all that are kept: 500, of 60 layers each.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { paths } from "../../../src/config.ts";
import { operationId } from "../../../src/domain/identifiers.ts";
import { layerStages, packStages } from "../../../src/domain/layer-stages.ts";
import { openDatabase, transact } from "../../../src/metadata/database.ts";
import { recordUnpack } from "../../../src/metadata/unpacks.ts";
import { sha } from "../../metadata/layered-images.ts";
import { RunningApi } from "../v1/running-api.ts";
import { textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(300_000);

const [unpacks, layers] = [500, 60];
let api: RunningApi;
const visitor = new Visitor(() => api.url);

const layerOf = (index: number) => ({
  digest: sha(`layer ${index}`),
  state: "unpacked",
  compressedBytes: 1_000,
  readBytes: 1_000,
  stages: packStages(
    layerStages.map((stage, at) => {
      const startMs = 1_000_000 + 100 * index + 10 * at;
      return { stage, startMs, endMs: startMs + 9, spentMs: 9 };
    }),
  ),
});

beforeAll(async () => {
  api = await RunningApi.start();
  await api.end();
  using database = openDatabase(paths.database(api.place.config), { mode: "readwrite" });
  const told = Array.from({ length: layers }, (_, index) => layerOf(index));
  transact(database, () => {
    for (let index = 0; index < unpacks; index += 1) {
      recordUnpack(database, {
        operationId: operationId(`unpack-${index}`),
        reference: `docker://registry.example/shop/web:${index}`,
        platform: "linux/amd64",
        outcome: "unpacked",
        errorCode: null,
        errorMessage: null,
        startedAtMs: 1_000_000,
        layers: told,
      });
    }
  });
  await api.begin();
  expect(await visitor.signIn(api.token)).toBe(303);
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** The page, and the shortest of several times: other programs run here, too. */
async function timed(address: string) {
  const times: number[] = [];
  let html = "";
  for (let count = 0; count < 4; count += 1) {
    const startedMs = performance.now();
    ({ html } = await visitor.visit(address));
    times.push(performance.now() - startedMs);
  }
  return { html, ms: Math.min(...times) };
}

test.each([
  { address: "/pools/default/unpacks", texts: ["shop/web:450 for", "Next"] },
  { address: "/pools/default/unpacks?find=WEB%3A77&state=unpacked", texts: ["shop/web:77 for"] },
  { address: `/pools/default/unpacks?find=${sha("layer 59")}`, texts: ["shop/web:450 for", "Next"] },
  { address: "/pools/default/unpacks?find=nothing-like-it", texts: ["No unpack is like this."] },
  { address: "/pools/default/unpacks/unpack-77", texts: ["60 of 60", "60 layers in"] },
])("$address is there within a second, and not large", async ({ address, texts }) => {
  const { html, ms } = await timed(address);
  for (const text of texts) expect(textOf(html)).toContain(text);
  expect(ms).toBeLessThan(1_000);
  expect(html.length).toBeLessThan(500_000);
});

test("its parts follow each other, and together are all of them", async () => {
  const seen: string[] = [];
  for (let next: string | undefined = "/pools/default/unpacks"; next !== undefined; ) {
    const { html } = await visitor.visit(next);
    seen.push(...[...html.matchAll(/href="\/pools\/default\/unpacks\/(unpack-\d+)"/g)].map(([, id]) => id ?? ""));
    next = /<a href="([^"]*)">Next</.exec(html)?.[1]?.replaceAll("&amp;", "&");
  }
  expect(seen).toEqual(Array.from({ length: unpacks }, (_, index) => `unpack-${unpacks - 1 - index}`));
});
