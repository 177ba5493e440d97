// Room: unpack. Owns the removal of files and whole directories from the tree.

import { type ByteString, joinBytes } from "../../system/tree/bytes.ts";
import { errnos, must } from "../../system/tree/calls.ts";
import { type ListedPage, listPage, seekPage } from "../../system/tree/listing.ts";
import { type FileStatus, statusOf } from "../../system/tree/metadata.ts";
import { closeDescriptor, openDirectoryBelow, removeDirectory, removeFile } from "../../system/tree/tree.ts";

/** What a removal spares: nothing, or what the layer itself has made. */
export interface Spared {
  /** The name itself stays; below it, if it is a directory, the removal goes on. */
  name(directory: ByteString, name: ByteString): boolean;
  /** The directory stays with all that is below it. */
  whole(directory: ByteString, name: ByteString): boolean;
}

export interface Removal {
  /** Descriptor of the tree's root. */
  readonly root: number;
  readonly spared: Spared;
  /** The directory at `path` is gone. */
  removed(path: ByteString): void;
  /** The directory at `path` stays, but was changed; `before` is how it was. */
  changed(path: ByteString, descriptor: number, before: FileStatus): void;
}

const closed = -1;

export const sparedNothing: Spared = { name: () => false, whole: () => false };

/** Removes `name` unless it is a directory; returns "removed", "missing" or "directory". */
export function removePlain(descriptor: number, directory: ByteString, name: ByteString) {
  const removed = removeFile(descriptor, name);
  if (removed === -errnos.EISDIR) return "directory";
  if (removed === -errnos.ENOENT) return "missing";
  must(removed, "unlink", joinBytes(directory, name));
  return "removed";
}

/** Removes the directory `name` in the open directory at `path` and all below it, except what is spared. */
export function removeTree(removal: Removal, descriptor: number, path: ByteString, name: ByteString): void {
  removeBelow(removal, descriptor, path, emptyDirectories(removal, path, [name]));
}

/**
 * Removes all that is in the directory at `path`, except what is spared; returns whether it is empty now. `stays`: the
 * directory itself is not removed afterwards.
 */
export function emptyDirectory(removal: Removal, path: ByteString, stays: boolean): boolean {
  let descriptor = openAt(removal, path);
  try {
    const before = statusOf(descriptor, path);
    let isEmpty = true;
    for (let page = pageOf(descriptor, path); page !== undefined; page = pageOf(descriptor, path)) {
      const left = removeFiles(removal, descriptor, path, page);
      isEmpty &&= left.isEmpty;
      if (left.directories.length === 0) continue;
      // Closed while going down: a tree may be deeper than a process may have files open.
      closeDescriptor(descriptor);
      descriptor = closed;
      const emptied = emptyDirectories(removal, path, left.directories);
      descriptor = openAt(removal, path);
      must(seekPage(descriptor, page.next), "lseek", path);
      removeBelow(removal, descriptor, path, emptied);
      isEmpty &&= emptied.length === left.directories.length;
    }
    if (stays || !isEmpty) removal.changed(path, descriptor, before);
    return isEmpty;
  } finally {
    if (descriptor !== closed) closeDescriptor(descriptor);
  }
}

function openAt({ root }: Removal, path: ByteString): number {
  return must(openDirectoryBelow(root, path), "open directory", path);
}

function pageOf(descriptor: number, path: ByteString): ListedPage | undefined {
  const page = listPage(descriptor);
  if (typeof page !== "number") return page;
  must(page, "getdents64", path);
  return undefined;
}

/** Empties the directories `names` at `path`; returns those that can be removed now. */
function emptyDirectories(removal: Removal, path: ByteString, names: readonly ByteString[]): ByteString[] {
  const { spared } = removal;
  return names.filter((name) => {
    if (spared.whole(path, name)) return false;
    const stays = spared.name(path, name);
    return emptyDirectory(removal, joinBytes(path, name), stays) && !stays;
  });
}

function removeBelow(
  removal: Removal,
  descriptor: number,
  path: ByteString,
  emptyDirectories: readonly ByteString[],
): void {
  for (const name of emptyDirectories) {
    must(removeDirectory(descriptor, name), "rmdir", joinBytes(path, name));
    removal.removed(joinBytes(path, name));
  }
}

/** Removes everything on the page except directories; returns their names, and whether nothing else is left. */
function removeFiles({ spared }: Removal, descriptor: number, path: ByteString, page: ListedPage) {
  const directories: ByteString[] = [];
  let isEmpty = true;
  for (const { name, kind } of page.names) {
    if (kind === "directory") directories.push(name);
    // On a file system that lists names without types, the content of a spared directory is spared as well.
    else if (spared.name(path, name)) isEmpty = false;
    else if (removePlain(descriptor, path, name) === "directory") directories.push(name);
  }
  return { directories, isEmpty };
}
