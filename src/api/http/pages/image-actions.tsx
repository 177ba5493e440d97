// Room: api. Owns what can be done about an image: pin, unpin, remove it or one of its names.
/** @jsxImportSource hono/jsx */
import { formatSize } from "../../../domain/units.ts";
import { Action } from "./action.tsx";
import { imageQuery, type NamedImage } from "./image-address.ts";
import { shellWord } from "./names.tsx";
import type { View } from "./view.ts";

interface ImageActionsProps {
  readonly view: View;
  /** The same image under each of its names. */
  readonly names: readonly NamedImage[];
  readonly found: NamedImage;
}

export const ImageActions = ({ view, names, found }: ImageActionsProps) => (
  <>
    {found.pinnedAtMs === undefined ? null : <p>A pinned image is not removed: unpin it first.</p>}
    <div class="actions">
      <Pinning view={view} found={found} />
      {found.pinnedAtMs === undefined ? <Removal view={view} names={names} found={found} /> : null}
    </div>
  </>
);

const asWhole = ({ manifestDigest, platform }: NamedImage) => ({ targets: [{ digest: manifestDigest }], platform });
const wholeWords = ({ manifestDigest, platform }: NamedImage) => `${manifestDigest} --platform ${shellWord(platform)}`;

const Pinning = ({ view, found }: Pick<ImageActionsProps, "view" | "found">) =>
  found.pinnedAtMs === undefined ? (
    <Action
      view={view}
      operation="pinImages"
      given={asWhole(found)}
      label="Pin the image"
      about="Nothing removes it until it is unpinned."
      command={view.command(`images pin ${wholeWords(found)}`)}
      reason="optional"
    />
  ) : (
    <Action
      view={view}
      operation="unpinImages"
      given={asWhole(found)}
      label="Unpin the image"
      command={view.command(`images unpin ${wholeWords(found)}`)}
      reason="optional"
    />
  );

/** Of several names, each can go alone; the image goes with the last. */
const Removal = ({ view, names, found }: ImageActionsProps) => (
  <>
    <Action
      view={view}
      operation="removeImages"
      given={asWhole(found)}
      label="Remove the image"
      about={`With all its names; frees ${formatSize(found.exclusiveBytes)}. Layers that something else uses stay.`}
      command={view.command(`images rm ${wholeWords(found)}`)}
      reason="required"
      leadsTo={view.poolPath("unpacks")}
    />
    {names.length < 2
      ? null
      : names.map(({ image: name }, index) =>
          name === null ? null : (
            <Action
              view={view}
              operation="removeImages"
              given={{ targets: [{ reference: name }], platform: found.platform }}
              label={`Remove name ${index + 1}`}
              about="The image stays under its other names."
              command={view.command(`images rm ${shellWord(name)} --platform ${shellWord(found.platform)}`)}
              reason="required"
              leadsTo={view.poolPath("image", imageQuery(found))}
            />
          ),
        )}
  </>
);
