// Room: scripts. Owns the collection of this machine's files as layer entries: sorted, bounded, without secrets.
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { dirname } from "node:path";
import { type Attributes, directory, file, hardLink, type NodeEntry, symlink } from "../test/support/tar-entries.ts";

export interface Source {
  readonly root: string;
  readonly maxFiles: number;
  readonly maxBytes: number;
}

const maxFileBytes = 3 << 19;
const worldReadable = 0o004n;
const worldSearchable = 0o005n;
/** What differs from boot to boot, or could hold a secret in spite of its mode. */
const skipped =
  /(?:^|\/)(?:hostname|hosts|resolv\.conf|mtab|machine-id|ld\.so\.cache|__pycache__|ssh|private|.*shadow.*|.*\.(?:key|pem|lock))$/;

const bytesOf = (path: string): Buffer => Buffer.from(path, "latin1");
/** A path inside the layer: bytes as latin1, without the leading slash. */
const memberOf = (path: string): Buffer => bytesOf(path.slice(1));

type Status = NonNullable<ReturnType<typeof statusOf>>;
function statusOf(path: string) {
  return lstatSync(bytesOf(path), { bigint: true, throwIfNoEntry: false });
}

const attributesOf = ({ mode, uid, gid, mtimeNs }: Status): Attributes => ({
  mode: Number(mode & 0o7777n),
  uid: Number(uid),
  gid: Number(gid),
  mtimeNs,
});

/** A walk over the machine's files for one layer. */
class Collector {
  readonly entries: NodeEntry[] = [];
  readonly #listedDirectories = new Set<string>();
  /** Paths in the layer by inode: a second name becomes a hard link. */
  readonly #firstNames = new Map<string, Buffer>();
  #filesLeft = 0;
  #bytesLeft = 0;

  collect({ root, maxFiles, maxBytes }: Source): void {
    this.#filesLeft = maxFiles;
    this.#bytesLeft = maxBytes;
    const status = statusOf(root);
    if (status === undefined || realpathSync(root) !== root) return;
    this.#listAncestors(root);
    this.#visit(root, status);
  }

  #listAncestors(path: string): void {
    const parent = dirname(path);
    if (parent === "/" || this.#listedDirectories.has(parent)) return;
    this.#listAncestors(parent);
    const status = statusOf(parent);
    if (status !== undefined) this.#listDirectory(parent, status);
  }

  #listDirectory(path: string, status: Status): void {
    if (this.#listedDirectories.has(path)) return;
    this.#listedDirectories.add(path);
    this.entries.push(directory(memberOf(path), attributesOf(status)));
  }

  #visit(path: string, status: Status): void {
    if (skipped.test(path)) return;
    if (status.isDirectory()) this.#visitDirectory(path, status);
    else if (status.isSymbolicLink()) this.#takeSymlink(path, status);
    else if (status.isFile()) this.#takeFile(path, status);
  }

  #visitDirectory(path: string, status: Status): void {
    if ((status.mode & worldSearchable) !== worldSearchable || this.#filesLeft <= 0) return;
    this.#listDirectory(path, status);
    const names = readdirSync(bytesOf(path), { encoding: "buffer" }).map((name) =>
      Buffer.from(name).toString("latin1"),
    );
    for (const name of names.sort()) {
      const child = `${path}/${name}`;
      const childStatus = statusOf(child);
      if (childStatus !== undefined && this.#filesLeft > 0) this.#visit(child, childStatus);
    }
  }

  #takeSymlink(path: string, status: Status): void {
    const target = Buffer.from(readlinkSync(bytesOf(path), { encoding: "buffer" }));
    this.entries.push(symlink(memberOf(path), target, attributesOf(status)));
    this.#filesLeft -= 1;
  }

  #takeFile(path: string, status: Status): void {
    const size = Number(status.size);
    if ((status.mode & worldReadable) === 0n || size > Math.min(maxFileBytes, this.#bytesLeft)) return;
    const inode = `${status.dev}:${status.ino}`;
    const first = this.#firstNames.get(inode);
    if (first === undefined) {
      this.entries.push(file(memberOf(path), readFileSync(bytesOf(path)), attributesOf(status)));
      this.#firstNames.set(inode, memberOf(path));
      this.#bytesLeft -= size;
    } else {
      this.entries.push(hardLink(memberOf(path), first, attributesOf(status)));
    }
    this.#filesLeft -= 1;
  }
}

/** What `sources` hold, as one layer's entries; a source that this machine does not have adds nothing. */
export function machineEntries(sources: readonly Source[]): readonly NodeEntry[] {
  const collector = new Collector();
  for (const source of sources) collector.collect(source);
  return collector.entries;
}
