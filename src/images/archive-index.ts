// Room: images. Owns the index of a tar's members: what each is and where its bytes lie, read once from its headers.
import type { FileHandle } from "node:fs/promises";
import { failedPrecondition, isSnapmillError } from "../domain/errors.ts";
import { quoted } from "../domain/quoted.ts";
import { formatSize } from "../domain/units.ts";
import { type ByteString, bytesOfText, display } from "../system/tree/bytes.ts";
import { blockBytes, isZeroBlock, paddingOf } from "../tar/blocks.ts";
import { storedBytesOf } from "../tar/content.ts";
import { type MemberHeader, parseMemberHeader } from "../tar/header.ts";
import {
  emptyPreamble,
  GlobalRecords,
  isExtendedHeader,
  nameOf,
  type Preamble,
  withExtendedHeader,
} from "../tar/preamble.ts";
import { type Member, memberName, memberOf } from "./archive-member.ts";
import type { BlobRange } from "./image.ts";
import { LoopYield } from "./loop-yield.ts";

/** As many as an archive of fifty thousand images has. */
const maxMembers = 250_000;
/** Extended headers included. */
const maxHeaders = 4 * maxMembers;
const maxExtendedHeaderBytes = 1 << 20;
/** In all extended headers of an archive: a few MB of zstd can hold records that take hours to read. */
const maxExtendedBytes = 64 << 20;
/** Linux's limit for a path. No file of an image has a longer name, so such members are skipped. */
const maxNameLength = 4096;
/** Of all names and link targets: they are kept in memory. */
const maxNamesLength = 32 << 20;
const maxLinks = 8;
/** Headers that lie close together are read together. */
const windowBytes = 16 << 10;

export interface IndexedTar {
  readonly handle: FileHandle;
  /** The path by which other processes can open the same file. */
  readonly place: Pick<BlobRange, "path" | "within">;
  /** The archive's name for the user; `handle` may be the file that it was decompressed into. */
  readonly archive: string;
}

/** Of several members with the same name the last one counts, as for tar itself. */
export class ArchiveIndex {
  readonly #tar: IndexedTar;
  readonly #loop: LoopYield;
  readonly #members = new Map<ByteString, Member>();
  readonly #window = Buffer.alloc(windowBytes);
  #windowAt = 0;
  #windowLength = 0;
  #preamble: Preamble = emptyPreamble(new GlobalRecords());
  #position = 0;
  #headers = 0;
  #namesLength = 0;
  #extendedBytes = 0;
  #last = { name: "" as ByteString, endBytes: 0 };
  #isOver = false;

  constructor(tar: IndexedTar, signal: AbortSignal | undefined) {
    this.#tar = tar;
    this.#loop = new LoopYield(signal);
  }

  /** Whether the end marker has been read: nothing after it is examined. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The least length that the tar can have, by the headers that have been read. */
  get claimedBytes(): number {
    return Math.max(this.#position, this.#last.endBytes);
  }

  /**
   * Reads the headers in the first `lengthBytes` of the tar; `isWhole`: there are no more to come.
   * Errors: failed_precondition, which names the archive; the reason of the signal.
   */
  async advance(lengthBytes: number, isWhole: boolean): Promise<void> {
    const { archive } = this.#tar;
    try {
      while (!this.#isOver && (await this.#step(lengthBytes, isWhole))) await this.#loop.next();
    } catch (error) {
      this.#loop.throwIfAborted();
      if (!isSnapmillError(error) || error.message.includes(archive)) throw error;
      throw failedPrecondition(`${archive} is no tar archive, or a damaged one: ${error.message}`, error);
    }
  }

  /** Follows links between members: old archives of `docker save` store a shared layer only once. */
  find(name: string): BlobRange | undefined {
    const { archive, place } = this.#tar;
    let current = memberName(bytesOfText(name));
    for (let hops = 0; hops <= maxLinks; hops += 1) {
      const member = this.#members.get(current);
      if (member === undefined) return undefined;
      switch (member.kind) {
        case "file":
          return { ...place, offsetBytes: member.offsetBytes, lengthBytes: member.lengthBytes };
        case "unreadable":
          throw failedPrecondition(`the member ${display(current)} of ${archive} ${member.why}`);
        case "link":
          current = member.target;
      }
    }
    throw failedPrecondition(`the member ${quoted(name)} of ${archive} is a link that leads round in a circle`);
  }

  /** Reads one header and what belongs to it; false when not all of that is there yet. */
  async #step(lengthBytes: number, isWhole: boolean): Promise<boolean> {
    const { archive } = this.#tar;
    const bodyAt = this.#position + blockBytes;
    if (isWhole && this.#last.endBytes > lengthBytes) throw this.#cutShort(this.#last.name);
    if (bodyAt > lengthBytes) {
      // A tar may lack its end marker, but a header must be whole.
      if (isWhole && this.#position < lengthBytes)
        throw failedPrecondition(`${archive} ends in the middle of a tar header; fetch it again`);
      return false;
    }
    const block = await this.#read(this.#position, blockBytes, lengthBytes);
    if (isZeroBlock(block)) {
      this.#isOver = true;
      return true;
    }
    const header = parseMemberHeader(block);
    if (!isExtendedHeader(header.typeFlag)) return this.#memberAt(header, bodyAt);
    if (header.sizeBytes > maxExtendedHeaderBytes)
      throw failedPrecondition(`${archive} has an extended header of ${header.sizeBytes} bytes`);
    if (bodyAt + header.sizeBytes > lengthBytes) {
      if (isWhole) throw this.#cutShort(memberName(header.name));
      return false;
    }
    this.#extendedBytes += header.sizeBytes;
    if (this.#extendedBytes > maxExtendedBytes)
      throw failedPrecondition(`${archive} has extended headers of more than ${formatSize(maxExtendedBytes)} together`);
    const body = await this.#read(bodyAt, header.sizeBytes, lengthBytes);
    this.#preamble = withExtendedHeader(this.#preamble, header.typeFlag, body);
    this.#passed(bodyAt + header.sizeBytes + paddingOf(header.sizeBytes));
    return true;
  }

  #memberAt(header: MemberHeader, offsetBytes: number): true {
    const preamble = this.#preamble;
    this.#preamble = emptyPreamble(preamble.global);
    const name = memberName(nameOf(header, preamble));
    const lengthBytes = storedBytesOf(header, preamble);
    const endBytes = offsetBytes + lengthBytes;
    const nextAt = endBytes + paddingOf(lengthBytes);
    if (!Number.isSafeInteger(nextAt)) throw this.#cutShort(name);
    this.#last = { name, endBytes };
    const member = memberOf(header, preamble, { offsetBytes, lengthBytes });
    if (member !== undefined) this.#add(name, member);
    this.#passed(nextAt);
    return true;
  }

  #add(name: ByteString, member: Member): void {
    const { archive } = this.#tar;
    const linkLength = member.kind === "link" ? member.target.length : 0;
    if (name.length > maxNameLength || linkLength > maxNameLength) return;
    this.#namesLength += name.length + linkLength;
    if (this.#namesLength > maxNamesLength)
      throw failedPrecondition(`${archive} has members whose names have more than ${maxNamesLength} bytes together`);
    this.#members.set(name, member);
    if (this.#members.size > maxMembers) throw failedPrecondition(`${archive} has more than ${maxMembers} members`);
  }

  #passed(position: number): void {
    this.#position = position;
    this.#headers += 1;
    if (this.#headers > maxHeaders)
      throw failedPrecondition(`${this.#tar.archive} has more than ${maxHeaders} tar headers`);
  }

  #cutShort(name: ByteString) {
    return failedPrecondition(`${this.#tar.archive} ends in the middle of its member ${display(name)}; fetch it again`);
  }

  /** Valid until the next call. Only the first `availableBytes` of the tar are there yet. */
  async #read(position: number, lengthBytes: number, availableBytes: number): Promise<Buffer> {
    const start = position - this.#windowAt;
    if (start >= 0 && start + lengthBytes <= this.#windowLength)
      return this.#window.subarray(start, start + lengthBytes);
    const isLong = lengthBytes > windowBytes;
    const buffer = isLong
      ? Buffer.alloc(lengthBytes)
      : this.#window.subarray(0, Math.min(windowBytes, availableBytes - position));
    this.#windowLength = 0;
    for (let done = 0; done < buffer.length; ) {
      const { bytesRead } = await this.#tar.handle.read(buffer, done, buffer.length - done, position + done);
      if (bytesRead === 0) throw failedPrecondition(`${this.#tar.archive} became shorter while it was read`);
      done += bytesRead;
    }
    if (!isLong) {
      this.#windowAt = position;
      this.#windowLength = buffer.length;
    }
    return buffer.subarray(0, lengthBytes);
  }
}
