// Room: test. Owns what there is to see on the pages in tests: a real `up` with images, snapshots, a failure, and names that
// try to be more than text.
import { join } from "node:path";
import { HeldRemoval, removalsIn } from "../api/v1/held-removal.ts";
import { RunningApi } from "../api/v1/running-api.ts";
import { aBusyDay, writeHistory } from "../support/made-history.ts";
import { pushImage, pushLargeLayer, pushLayer } from "../support/many-images.ts";
import { Registry } from "../support/registry.ts";
import { until } from "../support/until.ts";

/** Breaks out of text, of attributes and of scripts, and reorders what is around it. */
export const hostile = `<script>document.title = "taken"</script>"'><img src=x onerror='document.title = "taken"'>\u202egnp`;

/** Disposing of it ends it, and fails when something of it is left. */
export interface Content extends AsyncDisposable {
  readonly api: RunningApi;
  /** A token of role read. */
  readonly reader: string;
  /** The address of each page of the registry, with something to see; by the page's path. */
  readonly addresses: Readonly<Record<string, string>>;
}

const settings = {
  SNAPMILL_ASYNC_REMOVE: "true",
  SNAPMILL_REMOVE_ATTEMPTS: "2",
  SNAPMILL_REMOVE_FIRST_PAUSE: "100ms",
};

/** `name`: of a snapshot, a label and an image that is not there. */
export async function makeContent(name = hostile): Promise<Content> {
  await using made = new AsyncDisposableStack();
  const api = made.use(await RunningApi.start(settings, makeHistory));
  const registry = made.use(await Registry.start(join(api.place.directory, "registry")));
  const reader = (await succeeded(api.place.run("token", "create", "onlooker", "--role", "read"))).trim();
  await unpackImages(api, registry);
  await makeSnapshots(api, name);
  await failToUnpack(api, name);
  await submitBatch(api, name);
  const removal = await holdRemovals(api, name, made);
  const kept = made.move();
  const addresses = { ...addressesWith(name, removal), ...(await addressesOfImage(api, "/shop/web:1.5")) };
  return { api, reader, addresses, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const makeHistory = ({ config }: RunningApi["place"]) => writeHistory(config, aBusyDay(Date.now()));

/** By the path of the page. What a page shows of the rest of the content it finds by itself. */
const addressesWith = (name: string, { operationId }: HeldRemoval): Content["addresses"] => ({
  "/": "/",
  "/pools/:pool": "/pools/default",
  "/pools/:pool/snapshots": "/pools/default/snapshots",
  "/pools/:pool/snapshot": `/pools/default/snapshot?${new URLSearchParams({ key: name }).toString()}`,
  "/pools/:pool/unpacks": "/pools/default/unpacks",
  "/pools/:pool/batches": "/pools/default/batches",
  "/pools/:pool/batches/:batch": "/pools/default/batches/nightly",
  "/pools/:pool/removals": "/pools/default/removals",
  "/pools/:pool/doctor": "/pools/default/doctor",
  "/audit": "/audit",
  "/operations/:operationId": `/operations/${operationId}`,
  "/search": `/search?${new URLSearchParams({ q: name.slice(0, 8) }).toString()}`,
});

/** Of the image and its unpack whose name ends like this. */
async function addressesOfImage(api: RunningApi, end: string): Promise<Content["addresses"]> {
  const { body } = await api.pool("/unpacks");
  const unpacks = body.items as { readonly image: string; readonly operationId: string }[];
  const found = unpacks.find(({ image }) => image.endsWith(end));
  if (found === undefined) throw new Error(`nothing like ${end} was unpacked: ${JSON.stringify(unpacks)}`);
  return {
    "/pools/:pool/image": `/pools/default/image?${new URLSearchParams({ name: found.image }).toString()}`,
    "/pools/:pool/unpacks/:operationId": `/pools/default/unpacks/${found.operationId}`,
  };
}

/** Two of three share a layer, which the second finds there. */
async function unpackImages({ place }: RunningApi, { host }: Registry): Promise<void> {
  const web = { host, name: "shop/web" };
  const base = await pushLargeLayer(web, 12);
  const references = [
    await pushImage(web, "1.4", [base, await pushLayer(web, ["srv/web", "etc/web.conf"])]),
    await pushImage(web, "1.5", [
      base,
      await pushLargeLayer(web, 24),
      await pushLayer(web, ["srv/web", "etc/web.conf", "etc/web.d/new"]),
      await pushLargeLayer(web, 6),
    ]),
    await pushImage({ host, name: "shop/stock" }, "9", [await pushLayer({ host, name: "shop/stock" }, ["srv/stock"])]),
  ];
  for (const reference of references) await succeeded(place.run("unpack", "--plain-http", reference));
}

async function makeSnapshots(api: RunningApi, name: string): Promise<void> {
  for (const key of [name, "web-1", "web-2"]) {
    const path = `/snapshot/prepare?${new URLSearchParams({ key }).toString()}`;
    const { status, body } = await api.pool(path, { method: "POST", body: { labels: { [name]: name, team: "shop" } } });
    if (status >= 300) throw new Error(`${path} was answered ${status}: ${JSON.stringify(body)}`);
  }
}

/** Of an image that is there, and one that is not. */
async function submitBatch(api: RunningApi, name: string): Promise<void> {
  const { body: images } = await api.pool("/images");
  const there = images[0].image as string;
  const items = [there, `oci:${join(api.place.directory, "no-such-image")}:latest`];
  const body = { name, attempts: 1, items: items.map((reference) => ({ reference, registry: { plainHttp: true } })) };
  const { status, body: answer } = await api.pool("/batches/nightly", { method: "PUT", body });
  if (status >= 300) throw new Error(`the batch was answered ${status}: ${JSON.stringify(answer)}`);
  await until(
    "the batch has ended",
    async () => (await api.pool("/batches/nightly")).body.state,
    (state) => state === "failed",
  );
}

/** Two that processes hold, one that nobody holds any more, and one that was discarded. */
async function holdRemovals(api: RunningApi, name: string, made: AsyncDisposableStack): Promise<HeldRemoval> {
  const hold = async (key: string, words: string) => {
    const started = await HeldRemoval.start(api, key, words);
    made.defer(() => started.end());
    return started;
  };
  const held = await hold(`${name}-old`, `serve ${name}`);
  await hold("web-0", "backup of web-0");
  await (await hold("stock-0", "stocktaking")).end();
  const evidence = await hold("evidence", "copying");
  await api.pool("/removals/discard", {
    method: "POST",
    body: { names: [evidence.device], reason: `ticket of ${name}` },
  });
  await evidence.end();
  await until(
    "they are given up",
    () => removalsIn(api),
    (all) => all.every(({ state }) => state !== "pending"),
  );
  return held;
}

async function failToUnpack({ place }: RunningApi, name: string): Promise<void> {
  const { exitCode } = await place.run("unpack", `oci:${join(place.directory, name.replaceAll("/", "|"))}:latest`);
  if (exitCode === 0) throw new Error("an image that is not there was unpacked");
}

async function succeeded(run: ReturnType<RunningApi["place"]["run"]>): Promise<string> {
  const { exitCode, stdout, stderr } = await run;
  if (exitCode !== 0) throw new Error(`exit status ${exitCode}: ${stderr}`);
  return stdout;
}
