// Room: test. Owns what there is to see on the pages in tests: a real `up` with an image, snapshots and names that try to
// be more than text.
import { join } from "node:path";
import { RunningApi } from "../api/v1/running-api.ts";
import { writeSmallImage } from "../support/small-image.ts";

/** Breaks out of text, of attributes and of scripts, and reorders what is around it. */
export const hostile = `<script>document.title = "taken"</script>"'><img src=x onerror='document.title = "taken"'>\u202egnp`;

export interface Content {
  readonly api: RunningApi;
  /** Of role read. */
  readonly reader: string;
  /** The address of each page of the registry, with something to see; by the page's path. */
  readonly addresses: Readonly<Record<string, string>>;
}

export async function makeContent(settings: Record<string, string> = {}): Promise<Content> {
  const api = await RunningApi.start({ SNAPMILL_ASYNC_REMOVE: "true", ...settings });
  try {
    return { api, reader: await readerOf(api), addresses: await fill(api) };
  } catch (error) {
    await api[Symbol.asyncDispose]().catch(() => undefined);
    throw error;
  }
}

async function readerOf({ place }: RunningApi): Promise<string> {
  return (await succeeded(place.run("token", "create", "onlooker", "--role", "read"))).trim();
}

async function fill(api: RunningApi): Promise<Content["addresses"]> {
  const { reference } = await writeSmallImage(join(api.place.directory, "an-image"));
  await succeeded(api.place.run("unpack", reference));
  const failed = await api.place.run("unpack", `oci:${join(api.place.directory, hostile.replaceAll("/", "|"))}:latest`);
  if (failed.exitCode === 0) throw new Error("an image that is not there was unpacked");
  for (const key of [hostile, "web-1", "web-2"]) {
    const labels = { [hostile]: hostile, team: "storage" };
    await granted(api, `/snapshot/prepare?${new URLSearchParams({ key }).toString()}`, { labels });
  }
  return {
    "/pools/:pool/snapshots": "/pools/default/snapshots",
    "/pools/:pool/snapshot": `/pools/default/snapshot?${new URLSearchParams({ key: hostile }).toString()}`,
    "/search": `/search?${new URLSearchParams({ q: "<script>" }).toString()}`,
  };
}

async function granted(api: RunningApi, path: string, body: unknown): Promise<void> {
  const answer = await api.pool(path, { method: "POST", body });
  if (answer.status >= 300) throw new Error(`${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
}

async function succeeded(run: ReturnType<RunningApi["place"]["run"]>): Promise<string> {
  const { exitCode, stdout, stderr } = await run;
  if (exitCode !== 0) throw new Error(`exit status ${exitCode}: ${stderr}`);
  return stdout;
}
