// Room: api. Owns the treemap of a pool's space: each image's own, what they share, and what nothing claims.
/** @jsxImportSource hono/jsx */
import { formatSize } from "../../../domain/units.ts";
import type { Output } from "../../../service/api.ts";
import { type Area, type AreaKind, Treemap } from "./charts/treemap.tsx";
import { imageQuery } from "./image-address.ts";
import { Name, shortName } from "./names.tsx";
import type { View } from "./view.ts";

type Space = Output<"space">;
type Image = Space["images"][number];

const kindNames: Readonly<Record<AreaKind, string>> = {
  plain: "an image's own",
  hatched: "shared",
  dotted: "to be freed",
  crossed: "other use",
};

/** Smaller ones would not be seen. */
const mostImages = 60;

export function SpaceMap({ view, space }: { readonly view: View; readonly space: Space }) {
  const areas = areasOf(view, space);
  if (areas.length === 0) return <p>Nothing takes space in it yet.</p>;
  return (
    <>
      <Treemap id="space" title="Space in use" areas={areas} sizeText={formatSize} kindNames={kindNames} />
      <p class="faint">
        As measured when layers were committed. Removing an image frees what is its own; what is shared stays until the
        last user goes.
      </p>
    </>
  );
}

/** All that has a size. */
export function areasOf(view: View, space: Space): Area[] {
  const shown = space.images.slice(0, mostImages);
  const others = space.images.slice(mostImages);
  const othersBytes = others.reduce((sum, { exclusiveBytes }) => sum + exclusiveBytes, 0);
  const named = (kind: AreaKind, name: string, size: number): Area => ({
    kind,
    name,
    shortName: name.replace(/ layers$|^Devices /, ""),
    size,
    link: name,
  });
  return [
    ...shown.map((image) => imageArea(view, image)),
    named("plain", `${others.length} other images`, othersBytes),
    named("hatched", "Shared layers", space.sharedBytes),
    named("dotted", "Unclaimed layers", space.unclaimedBytes),
    named("dotted", "Devices being removed", space.removalBytes),
    named("crossed", "Other snapshots", space.otherBytes),
    named("crossed", "Writable snapshots and templates", space.restBytes ?? 0),
  ].filter(({ size }) => size > 0);
}

function imageArea(view: View, { names, manifestDigest, platform, exclusiveBytes }: Image): Area {
  const [name = shortName(manifestDigest)] = names;
  return {
    kind: "plain",
    name: `${name}${names.length > 1 ? ` and ${names.length - 1} more names` : ""} (${platform})`,
    shortName: name.slice(name.lastIndexOf("/") + 1),
    size: exclusiveBytes,
    link: (
      <a href={view.poolPath("image", imageQuery({ manifestDigest, platform }))}>
        <Name text={name} />
      </a>
    ),
  };
}
