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

/** Asks the file system about itself only for what no entry of the layer has said. */
export class Directory {
  /** From the root, through no symbolic link. "" is the root. */
  readonly path: ByteString;
  /** Nothing in it is from a lower layer: this layer made it, or removed all that was there. */
  isLayers: boolean;
  /** The number of the last entry that uses it; see DirectoryCache. */
  heldFor = 0;
  #descriptor: number;
  #times: Times | undefined;
  #setgid: boolean | undefined;
  #inheritsAcl: boolean | undefined;
  #isChanged = false;

  /** Takes ownership of `descriptor`. */
  constructor(path: ByteString, descriptor: number, isLayers: boolean) {
    this.path = path;
    this.#descriptor = descriptor;
    this.isLayers = isLayers;
  }

  /** Whether new files in it inherit its group. */
  get setgid(): boolean {
    if (this.#setgid === undefined) this.#look();
    return this.#setgid === true;
  }

  /** Whether new files in it inherit its default ACL. */
  get inheritsAcl(): boolean {
    this.#inheritsAcl ??= hasXattr(this.descriptor, defaultAcl);
    return this.#inheritsAcl;
  }

  /** Called when an entry has set its mode and its attributes. */
  setInherited(setgid: boolean, inheritsAcl: boolean): void {
    this.#setgid = setgid;
    this.#inheritsAcl = inheritsAcl;
  }

  /** Throws once it is closed: the number may then belong to another file. */
  get descriptor(): number {
    if (this.#descriptor === closed) throw internal(`the directory ${display(this.path)} was used after it was closed`);
    return this.#descriptor;
  }

  /** Called before something in it is made, replaced or removed, which must not change its times. */
  willChange(): void {
    if (this.#times === undefined) this.#look();
    this.#isChanged = true;
  }

  /** Called after such a change: these were its times before, unless others are known. */
  wasChanged(times: Times): void {
    this.#times ??= times;
    this.#isChanged = true;
  }

  /** Its final times, whatever else happens in it. */
  setTimes(times: Times): void {
    this.#times = times;
    this.#isChanged = true;
  }

  /** Restores its times if anything has changed them. */
  restoreTimes(): void {
    if (!this.#isChanged || this.#times === undefined) return;
    must(changeTimes(this.descriptor, this.#times.atime, this.#times.mtime), "utimensat", this.path);
    this.#isChanged = false;
  }

  close(): void {
    if (this.#descriptor !== closed) closeDescriptor(this.#descriptor);
    this.#descriptor = closed;
  }

  /** What is known already stays. */
  #look(): void {
    const { atime, mtime, mode } = statusOf(this.descriptor, this.path);
    this.#times ??= { atime, mtime };
    this.#setgid ??= (mode & setgidBit) !== 0;
  }
}
