// Room: unpack. Owns the removal of files and whole directories from the tree.

import { closeDescriptor, openDirectoryBelow, removeDirectory, removeFile } from "../../system/tree.ts";
import { type ByteString, joinBytes } from "../../system/tree-bytes.ts";
import { errnos, must } from "../../system/tree-calls.ts";
import { type ListedName, listDirectory } from "../../system/tree-listing.ts";

/** What a removal leaves: nothing, or what the layer itself has brought. */
export interface Spared {
  /** The name itself stays; below it, if it is a directory, the removal goes on. */
  name(directory: ByteString, name: ByteString): boolean;
  /** The directory stays with all that is below it. */
  whole(path: ByteString): boolean;
}

export const sparedNothing: Spared = { name: () => false, whole: () => false };

/** Removes `name` if it is no directory: "removed", "missing" or "directory". */
export function removePlain(descriptor: number, directory: ByteString, name: ByteString) {
  const removed = removeFile(descriptor, name);
  if (removed === -errnos.EISDIR) return "directory";
  if (removed === -errnos.ENOENT) return "missing";
  must(removed, "unlink", joinBytes(directory, name));
  return "removed";
}

/** Removes the directory `name` with all below it, but what is spared. */
export function removeTree(root: number, directory: ByteString, name: ByteString, spared: Spared): void {
  removeDirectories(root, directory, [name], spared);
}

/** Removes all that is in the directory at `path`, but what is spared. */
export function emptyDirectory(root: number, path: ByteString, spared: Spared): void {
  removeDirectories(
    root,
    path,
    withDirectory(root, path, (descriptor) => removeFiles(descriptor, path, spared)),
    spared,
  );
}

// Descriptors are not held while going down: a tree may be deeper than a process may have files open.
function removeDirectories(root: number, path: ByteString, names: readonly ByteString[], spared: Spared): void {
  const below = names.filter((name) => !spared.whole(joinBytes(path, name)));
  for (const name of below) emptyDirectory(root, joinBytes(path, name), spared);
  const gone = below.filter((name) => !spared.name(path, name));
  if (gone.length === 0) return;
  withDirectory(root, path, (descriptor) => {
    for (const name of gone) {
      const removed = removeDirectory(descriptor, name);
      // Something below it was spared: the directory holds it.
      if (removed !== -errnos.ENOTEMPTY || spared === sparedNothing) must(removed, "rmdir", joinBytes(path, name));
    }
  });
}

/** Removes everything in a directory but directories; their names. */
function removeFiles(descriptor: number, path: ByteString, spared: Spared): ByteString[] {
  const listed = listDirectory(descriptor);
  if (typeof listed === "number") {
    must(listed, "getdents64", path);
    return [];
  }
  return listed.filter((entry) => isLeft(descriptor, path, entry, spared)).map(({ name }) => name);
}

function isLeft(descriptor: number, path: ByteString, { name, kind }: ListedName, spared: Spared): boolean {
  if (kind === "directory") return true;
  // On a file system without types in its directories, a spared directory's content is spared with it.
  if (spared.name(path, name)) return false;
  return removePlain(descriptor, path, name) === "directory";
}

function withDirectory<Result>(root: number, path: ByteString, action: (descriptor: number) => Result): Result {
  const descriptor = must(openDirectoryBelow(root, path), "open directory", path);
  try {
    return action(descriptor);
  } finally {
    closeDescriptor(descriptor);
  }
}
