// Room: api. Owns the page of one image: its names, layers and space, how it is mounted, and what can be done about it.
/** @jsxImportSource hono/jsx */
import { notFound } from "../../../domain/errors.ts";
import { ownScope } from "../../../domain/identifiers.ts";
import { quoted } from "../../../domain/quoted.ts";
import { formatSize } from "../../../domain/units.ts";
import { ImageActions } from "./image-actions.tsx";
import { identityOf, imageQuery, type NamedImage } from "./image-address.ts";
import { ImageLayers } from "./image-layers.tsx";
import { Name, shortName } from "./names.tsx";
import type { Page } from "./page.ts";
import { Sign } from "./sign.tsx";
import { clockTime } from "./text.ts";
import type { View } from "./view.ts";

export const image: Page = {
  path: "/pools/:pool/image",
  title: "Image",
  about:
    "One image: names, digest, layers, the space that it shares or has alone, its mount command; pin, unpin, remove",
  place: "link",
  reads: ["listImages", "usage"],
  show: async (view) => {
    const all = await view.read("listImages", {});
    // With all of its names: what removes it removes them.
    const images = [...Map.groupBy(all, identityOf).values()];
    const [first, ...more] = images.filter((names) => names.some(asAsked(view)));
    const found = first?.find(asAsked(view));
    if (first === undefined || found === undefined) {
      throw notFound(`there is no image ${quoted(askedFor(view))} in this pool: it was not unpacked, or is removed`);
    }
    if (more.length > 0) return { heading: "Images", body: <Choices view={view} images={[first, ...more]} /> };
    return {
      heading: `Image ${shortName(found.image ?? found.manifestDigest)}`,
      body: (
        <>
          <Facts view={view} names={first} found={found} />
          <ImageActions view={view} names={first} found={found} />
          <h2>Layers</h2>
          <ImageLayers
            view={view}
            found={found}
            all={all}
            ownBytes={await Promise.all(found.layers.map(({ chainId }) => ownBytes(view, chainId)))}
          />
        </>
      ),
    };
  },
};

const askedFor = (view: View): string => view.query("digest") || view.query("name");

const asAsked = (view: View) => (each: NamedImage) => {
  const platform = view.query("platform");
  if (platform !== "" && each.platform !== platform) return false;
  return view.query("digest") === "" ? each.image === view.query("name") : each.manifestDigest === view.query("digest");
};

/** As measured at its commit; undefined: its snapshot is gone by now. */
const ownBytes = async (view: View, key: string): Promise<number | undefined> =>
  (await view.read("usage", { scope: ownScope, key }).catch(() => undefined))?.sizeBytes;

/** One name may mean an image on each of several platforms. */
const Choices = ({ view, images }: { readonly view: View; readonly images: readonly (readonly NamedImage[])[] }) => (
  <ul>
    {images
      .flatMap((names) => names.slice(0, 1))
      .map((each) => (
        <li key={identityOf(each)}>
          <a href={view.poolPath("image", imageQuery(each))}>
            <Name text={each.image ?? each.manifestDigest} /> for {each.platform}
          </a>
        </li>
      ))}
  </ul>
);

interface FactsProps {
  readonly view: View;
  /** The same image under each of its names. */
  readonly names: readonly NamedImage[];
  readonly found: NamedImage;
}

const Facts = ({ view, names, found }: FactsProps) => (
  <dl>
    <dt>Names</dt>
    {names.map(({ image: name, lastAskedAtMs }) => (
      <dd key={name}>
        {name === null ? "none" : <bdi class="name">{name}</bdi>}, last asked for {clockTime(lastAskedAtMs)}
      </dd>
    ))}
    <dt>Digest</dt>
    <dd>
      <bdi class="name">{found.manifestDigest}</bdi>
    </dd>
    <dt>Platform</dt>
    <dd>{found.platform}</dd>
    <dt>Unpacked</dt>
    <dd>{clockTime(found.unpackedAtMs)}</dd>
    <dt>Pinned</dt>
    <dd>
      {found.pinnedAtMs === undefined ? (
        "no"
      ) : (
        <Sign of="good">since {clockTime(found.pinnedAtMs)}: nothing removes it</Sign>
      )}
    </dd>
    <dt>Files</dt>
    <dd>{formatSize(found.layers.reduce((sum, { bytes }) => sum + bytes, 0))}</dd>
    <dt>Space of its own</dt>
    <dd>{formatSize(found.exclusiveBytes)}: what its removal would free</dd>
    <dt>Shared space</dt>
    <dd>{formatSize(found.sharedBytes)}, with other images or snapshots</dd>
    <dt>Mount it</dt>
    <dd>
      <code>{view.command(`mount ${found.snapshot} DIRECTORY`)}</code>
    </dd>
  </dl>
);
