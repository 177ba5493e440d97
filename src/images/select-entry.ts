// Room: images. Owns the choice of a layout's entries by tag or number: those of one image, or an error that lists them.
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { quoted, quotedUnlessPlain } from "../domain/quoted.ts";
import { type IndexEntry, nameOfEntry } from "./index-entry.ts";
import { formatPlatform } from "./platform.ts";
import { fullDockerName, type Selector } from "./reference.ts";

const maxListed = 20;

function listNames(entries: readonly IndexEntry[]): string {
  const listed = entries.slice(0, maxListed).map(nameOfEntry);
  return listed.join(", ") + (entries.length > listed.length ? ", …" : "");
}

/** Each image once, though it may have several tags. An entry without a digest is never the same as another. */
function distinct(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  const seen = new Set<string>();
  return entries.filter(({ digest }) => {
    const isNew = digest === "" || !seen.has(digest);
    seen.add(digest);
    return isNew;
  });
}

/** Without artifacts such as signatures, unless there is nothing else. */
function imagesAmong(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  const images = entries.filter(({ isArtifact }) => !isArtifact);
  return distinct(images.length > 0 ? images : entries);
}

/** One image for each platform, listed side by side instead of in an index of their own. */
function areOneImage(entries: readonly IndexEntry[]): boolean {
  const platforms = entries.map(({ platform }) => (platform === undefined ? "" : formatPlatform(platform)));
  const known = platforms.filter((platform) => !platform.startsWith("unknown/"));
  return !platforms.includes("") && new Set(known).size === known.length;
}

function ambiguous(tag: string, entries: readonly IndexEntry[]) {
  const named = entries.slice(0, maxListed).map((entry) => {
    const other = entry.tags.find((name) => name !== tag);
    return `@${entry.number} (${other === undefined ? "" : `${quotedUnlessPlain(other)}, `}${quotedUnlessPlain(entry.digest)})`;
  });
  return failedPrecondition(
    `${entries.length} images have the tag ${quoted(tag)}; use the number of one in its place: ${named.join(", ")}`,
  );
}

function withTag(entries: readonly IndexEntry[], tag: string): readonly IndexEntry[] {
  const exact = entries.filter(({ tags }) => tags.includes(tag));
  const full = fullDockerName(tag);
  if (exact.length > 0 || full === undefined) return exact;
  // A layout can have a hundred thousand names: only those with the same end are parsed.
  const end = full.slice(full.lastIndexOf("/"));
  return entries.filter(({ tags }) => tags.some((name) => name.endsWith(end) && fullDockerName(name) === full));
}

/**
 * The selected entries: one, or one for each platform. Errors: not_found; failed_precondition when several images have
 * the tag, since which one was meant cannot be guessed.
 */
export function selectEntries(entries: readonly IndexEntry[], selector: Selector): readonly IndexEntry[] {
  if (entries.length === 0) throw notFound("the layout holds no image");
  const all = imagesAmong(entries);
  switch (selector.by) {
    case "index": {
      const entry = entries[selector.index];
      if (entry === undefined) throw notFound(`the layout has no image @${selector.index}: it holds ${entries.length}`);
      return [entry];
    }
    case "tag": {
      const tagged = imagesAmong(withTag(entries, selector.tag));
      if (tagged.length === 1 || (tagged.length > 1 && areOneImage(tagged))) return tagged;
      if (tagged.length > 1) throw ambiguous(selector.tag, tagged);
      throw notFound(`the layout has no tag ${quoted(selector.tag)}; use one of: ${listNames(all)}`);
    }
    case "only": {
      const names = new Set(all.map(({ tags }) => tags[0]));
      if (all.length === 1 || (names.size === 1 && areOneImage(all))) return all;
      throw notFound(
        `the layout holds ${all.length} images; add ':' and one of these to the reference: ${listNames(all)}`,
      );
    }
  }
}
