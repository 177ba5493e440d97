// Room: unpack. Owns one open directory of the tree: its times, and its descriptor, which is refused after its close.
import { internal } from "../../domain/errors.ts";
import { type ByteString, display } from "../../system/tree/bytes.ts";
import { must } from "../../system/tree/calls.ts";
import { changeTimes, type FileTime, statusOf } from "../../system/tree/metadata.ts";
import { closeDescriptor } from "../../system/tree/tree.ts";
import { hasXattr } from "../../system/tree/xattrs.ts";

export interface Times {
  readonly atime: FileTime;
  readonly mtime: FileTime;
}

const setgidBit = 0o2000;
const defaultAcl = "system.posix_acl_default" as ByteString;
const closed = -1;

export class Directory {
  /** From the root, through no symbolic link. "" is the root. */
  readonly path: ByteString;
  /** Nothing in it is from a lower layer: this layer made it, or removed all that was there. */
  isLayers: boolean;
  /** New files in it inherit its group (setgid) or its default ACL. */
  setgid: boolean;
  inheritsAcl: boolean;
  /** The number of the last entry that uses it; see DirectoryCache. */
  heldFor = 0;
  #descriptor: number;
  #times: Times;
  #isChanged = false;

  /** Takes ownership of `descriptor`, also when it throws. */
  constructor(path: ByteString, descriptor: number, isLayers: boolean) {
    this.path = path;
    this.#descriptor = descriptor;
    this.isLayers = isLayers;
    try {
      const { atime, mtime, mode } = statusOf(descriptor, path);
      this.#times = { atime, mtime };
      this.setgid = (mode & setgidBit) !== 0;
      this.inheritsAcl = hasXattr(descriptor, defaultAcl);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Throws once it is closed: the number may then belong to another file. */
  get descriptor(): number {
    if (this.#descriptor === closed) throw internal(`the directory ${display(this.path)} was used after it was closed`);
    return this.#descriptor;
  }

  /** Called before something in it is made, replaced or removed, which must not change its times. */
  willChange(): void {
    this.#isChanged = true;
  }

  /** Its final times, whatever else happens in it. */
  setTimes(times: Times): void {
    this.#times = times;
    this.#isChanged = true;
  }

  /** Restores its times if anything has changed them. */
  restoreTimes(): void {
    if (!this.#isChanged) return;
    must(changeTimes(this.descriptor, this.#times.atime, this.#times.mtime), "utimensat", this.path);
    this.#isChanged = false;
  }

  close(): void {
    if (this.#descriptor !== closed) closeDescriptor(this.#descriptor);
    this.#descriptor = closed;
  }
}
