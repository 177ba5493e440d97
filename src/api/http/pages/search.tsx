// Room: api. Owns the page of search results: snapshots, images, removals, batches and operations, each as a link.
/** @jsxImportSource hono/jsx */
import { isSnapmillError } from "../../../domain/errors.ts";
import { imageQuery } from "./image-address.ts";
import { Name, shortName } from "./names.tsx";
import type { Page } from "./page.ts";
import { Scrolling } from "./scrolling.tsx";
import { allSnapshots, scopes } from "./snapshot-list.ts";
import type { View } from "./view.ts";

interface Hit {
  readonly kind: string;
  readonly name: string;
  readonly pool: string | null;
  /** Undefined: it has no page of its own. */
  readonly href: string | undefined;
  readonly about: string;
  /** The page that lists all that are like it; undefined: there is none. */
  readonly list?: string;
}

/** What one place has: of one kind, in one pool. */
type Found = readonly Hit[];

const mostOfAKind = 50;
/** One more says that there are more. */
const readOfAKind = mostOfAKind + 1;

export const search: Page = {
  path: "/search",
  title: "Search",
  about: "What has a key, digest, device, batch or operation ID, in all pools",
  place: "link",
  reads: ["listSnapshots", "listImages", "listRemovals", "listBatches", "getDevice", "getOperation"],
  show: async (view) => {
    const wanted = view.query("q").trim();
    const found = wanted === "" ? [] : await foundIn(view, wanted);
    const hits = found.flatMap((each) => each.slice(0, mostOfAKind));
    return {
      heading: wanted === "" ? "Search" : `Search: ${shortName(wanted)}`,
      body:
        hits.length === 0 ? (
          <p role="status">
            {wanted === "" ? "Give a key, a digest, a device or an operation ID." : "Nothing has this in its name."}
          </p>
        ) : (
          <>
            {found.map((each) => (
              <More found={each} />
            ))}
            <Hits hits={hits} />
          </>
        ),
    };
  },
};

async function foundIn(view: View, wanted: string): Promise<readonly Found[]> {
  const found = [await operationHits(view, wanted)];
  for (const pool of view.pools) {
    found.push(
      await deviceHits(view, pool, wanted),
      await removalHits(view, pool, wanted),
      await imageHits(view, pool, wanted),
      await batchHits(view, pool, wanted),
    );
    for (const scope of scopes) found.push(await snapshotHits(view, pool, scope, wanted));
  }
  return found;
}

const inPool = (pool: string, rest: string, query: Readonly<Record<string, string>>): string =>
  `/pools/${encodeURIComponent(pool)}/${rest}?${new URLSearchParams(query).toString()}`;

async function operationHits(view: View, wanted: string): Promise<Found> {
  try {
    const { operationId, operation, pool, state } = await view.read("getOperation", { operationId: wanted });
    const about = `${operation}, ${state}`;
    return [{ kind: "operation", name: operationId, pool, href: `/operations/${operationId}`, about }];
  } catch (error) {
    // Not one, or no longer known, or Redis is away: the rest is looked for all the same.
    const isNone = ["not_found", "invalid_argument", "unavailable"] as const;
    if (isNone.some((code) => isSnapmillError(error, code))) return [];
    throw error;
  }
}

async function snapshotHits(view: View, pool: string, scope: string, wanted: string): Promise<Found> {
  const { items } = await allSnapshots(view, scope, pool);
  const found = items.filter(({ key }) => key.includes(wanted)).slice(0, readOfAKind);
  return found.map(({ key, kind }) => {
    const href = inPool(pool, "snapshot", { scope, key });
    const list = inPool(pool, "snapshots", { scope, find: wanted });
    return { kind: "snapshot", name: key, pool, href, about: `${kind}, in scope ${scope}`, list };
  });
}

async function imageHits(view: View, pool: string, wanted: string): Promise<Found> {
  const images = await view.read("listImages", {}, pool);
  const found = images.filter((image) => JSON.stringify(image).includes(wanted)).slice(0, readOfAKind);
  return found.map((each) => {
    const { image, snapshot: key, platform } = each;
    const href = inPool(pool, "image", imageQuery(each));
    return { kind: "image", name: image ?? key, pool, href, about: `for ${platform}` };
  });
}

async function batchHits(view: View, pool: string, wanted: string): Promise<Found> {
  const batches = await view.read("listBatches", {}, pool);
  const found = batches.filter(({ batch, name }) => batch.includes(wanted) || name?.includes(wanted) === true);
  return found.slice(0, readOfAKind).map(({ batch, state }) => {
    const href = `/pools/${encodeURIComponent(pool)}/batches/${batch}`;
    return { kind: "batch", name: batch, pool, href, about: state, list: `/pools/${encodeURIComponent(pool)}/batches` };
  });
}

async function removalHits(view: View, pool: string, wanted: string): Promise<Found> {
  const { items } = await view.list("listRemovals", {}, { limit: 10_000, pool });
  const found = items.filter(({ device, key, operationId }) => [device, key ?? "", operationId].includes(wanted));
  return found.slice(0, readOfAKind).map(({ device, state, key }) => {
    const href = inPool(pool, "removals", { find: device, state });
    return {
      kind: "removal",
      name: device,
      pool,
      href,
      about: `${state}, of ${shortName(key ?? "an unknown snapshot")}`,
    };
  });
}

/** By the name of the device that they are on. */
async function deviceHits(view: View, pool: string, wanted: string): Promise<Found> {
  if (!/^[a-z0-9][\w.-]*-snap-\d+$/i.test(wanted)) return [];
  try {
    const { device, state, snapshots } = await view.read("getDevice", { device: wanted }, pool);
    return snapshots.map(({ scope, key }) => {
      const href = inPool(pool, "snapshot", { scope, key });
      return { kind: "snapshot", name: key, pool, href, about: `on device ${device}, ${state}` };
    });
  } catch (error) {
    if (isSnapmillError(error, "not_found") || isSnapmillError(error, "invalid_argument")) return [];
    throw error;
  }
}

function More({ found }: { readonly found: Found }) {
  const [first] = found;
  if (first === undefined || found.length <= mostOfAKind) return null;
  const { kind, pool, list } = first;
  return (
    <p>
      More than {mostOfAKind} are found of the kind {kind} in pool {pool}: the first {mostOfAKind} are shown.{" "}
      {list === undefined ? "Search for more of the name." : <a href={list}>List them</a>}
    </p>
  );
}

const Hits = ({ hits }: { readonly hits: readonly Hit[] }) => (
  <Scrolling label="Table of results">
    <table>
      <caption>{hits.length === 1 ? "1 result" : `${hits.length} results`}</caption>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">What</th>
          <th scope="col">Pool</th>
          <th scope="col">About</th>
        </tr>
      </thead>
      <tbody>
        {hits.map(({ kind, name, pool, href, about }) => (
          <tr key={`${kind} ${pool ?? ""} ${name}`}>
            <th scope="row">
              <a href={href}>
                <Name text={name} />
              </a>
            </th>
            <td>{kind}</td>
            <td>{pool ?? "–"}</td>
            <td>{about}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolling>
);
