// Room: drivers. Owns the calls to device-mapper through libdevmapper, made in the calling thread: each may wait long.
import { type Pointer, read } from "bun:ffi";
import { cString } from "../../../../system/ffi/libc.ts";
import { errnoName, type LibdevmapperLibrary, openLibdevmapper, textAt } from "./library.ts";

/** Kinds of calls: `enum` of DM_DEVICE_… in libdevmapper.h. */
const kinds = {
  create: 0,
  reload: 1,
  remove: 2,
  suspend: 4,
  resume: 5,
  info: 6,
  version: 9,
  status: 10,
  table: 11,
  list: 13,
  targets: 16,
  message: 17,
} as const;
type Kind = keyof typeof kinds;

/** One target that spans its device. Sectors are 512 bytes. */
export interface DmTarget {
  readonly sectors: number;
  readonly target: string;
  readonly parameters: string;
}

export interface DmDeviceInfo {
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  readonly openCount: number;
  readonly isSuspended: boolean;
  readonly isReadOnly: boolean;
  /** The device can be used. */
  readonly hasLiveTable: boolean;
  readonly hasInactiveTable: boolean;
  readonly eventNumber: number;
}

/** A call that failed. `errno` is undefined when the library failed before it called the kernel; `said` is its log. */
export class LibdevmapperError extends Error {
  override readonly name = "LibdevmapperError";
  readonly errno: string | undefined;
  readonly said: readonly string[];

  constructor(kind: Kind, subject: string | undefined, errno: number, said: readonly string[]) {
    super(`${kind} ${subject ?? ""}: ${errno === 0 ? said.join("; ") : errnoName(errno)}`);
    this.errno = errno === 0 ? undefined : errnoName(errno);
    this.said = said;
  }
}

type Address = Pointer | bigint;
type Change = (task: Address) => void;

/** Names are taken as they are, unescaped ones too. Errors: LibdevmapperError. */
export class Libdevmapper implements Disposable {
  readonly #library: LibdevmapperLibrary;
  readonly #c: LibdevmapperLibrary["symbols"];
  /** Where C writes its answers. An array buffer of its own: what is small enough, the collector may move. */
  readonly #out = new ArrayBuffer(256);
  readonly #bytes = new Uint8Array(this.#out);
  readonly #words = new Uint32Array(this.#out);

  /** Errors: `failed_precondition` when the library is missing. */
  constructor() {
    this.#library = openLibdevmapper();
    this.#c = this.#library.symbols;
  }

  [Symbol.dispose](): void {
    this.#library[Symbol.dispose]();
  }

  version(): { readonly library: string; readonly driver: string } {
    this.#library.takeSaid();
    const text = (isDone: number) => {
      if (isDone === 0) throw this.#refused("version", undefined, 0);
      const [version = ""] = Buffer.from(this.#bytes).toString().split(/[ \0]/, 1);
      return version;
    };
    const library = text(this.#c.dm_get_library_version(this.#bytes, this.#bytes.length));
    return { library, driver: text(this.#c.dm_driver_version(this.#bytes, this.#bytes.length)) };
  }

  /** Pairs of a target's name and its version. */
  targets(): readonly (readonly [name: string, version: string])[] {
    return this.#call("targets", undefined, {}, (task) => {
      // struct dm_versions { u32 next; u32 version[3]; char name[]; }
      const entries: [string, string][] = [];
      for (const at of entriesFrom(this.#c.dm_task_get_versions(task), 0)) {
        const version = [4, 8, 12].map((offset) => read.u32(at, offset)).join(".");
        entries.push([textAt(at + 16n), version]);
      }
      return entries;
    });
  }

  /** In three steps, as the library's own create takes them, but with the errno of the one that failed. */
  create(name: string, target: DmTarget): void {
    this.#call("create", name);
    try {
      this.reload(name, target);
      this.resume(name);
    } catch (error) {
      this.#withdraw(name);
      throw error;
    }
  }

  /** The first failure is the one that the caller gets. */
  #withdraw(name: string): void {
    try {
      this.remove(name, false);
    } catch (error) {
      if (!(error instanceof LibdevmapperError)) throw error;
    }
  }

  reload(name: string, { sectors, target, parameters }: DmTarget): void {
    const change: Change = (task) =>
      void this.#c.dm_task_add_target(task, 0, sectors, cString(target), cString(parameters));
    this.#call("reload", name, { change });
  }

  suspend(name: string, lockFs: boolean, flush: boolean): void {
    const change: Change = (task) => {
      if (!lockFs) this.#c.dm_task_skip_lockfs(task);
      if (!flush) this.#c.dm_task_no_flush(task);
    };
    this.#call("suspend", name, { change });
  }

  resume(name: string): void {
    this.#call("resume", name, { changesNode: true });
  }

  remove(name: string, deferred: boolean): void {
    const change: Change = (task) => {
      if (deferred) this.#c.dm_task_deferred_remove(task);
    };
    this.#call("remove", name, { change, changesNode: true });
  }

  /** To the target at sector 0. */
  message(name: string, text: string): void {
    const change: Change = (task) => {
      this.#c.dm_task_set_sector(task, 0);
      this.#c.dm_task_set_message(task, cString(text));
    };
    this.#call("message", name, { change });
  }

  info(name: string): DmDeviceInfo | undefined {
    return this.#call("info", name, {}, (task) => this.#infoOf(task, name));
  }

  /** Of all devices whose names begin with `prefix`. */
  list(prefix: string): DmDeviceInfo[] {
    const names = this.#call("list", undefined, {}, (task) => {
      // struct dm_names { u64 dev; u32 next; char name[]; }
      const found: string[] = [];
      const first = this.#c.dm_task_get_names(task);
      if (first === null || read.u64(first, 0) === 0n) return found;
      for (const at of entriesFrom(first, 8)) found.push(textAt(at + 12n));
      return found;
    });
    return names
      .filter((name) => name.startsWith(prefix))
      .map((name) => this.info(name))
      .filter((info) => info !== undefined);
  }

  /** `<start> <sectors> <target> <parameters>` for each target of the live table. */
  table(name: string): string[] {
    return this.#call("table", name, {}, (task) => this.#targetLines(task));
  }

  /** As `table`, with the status of each target; undefined when there is no such device. */
  status(name: string, flush: boolean): string[] | undefined {
    const change: Change = (task) => {
      if (!flush) this.#c.dm_task_no_flush(task);
    };
    return this.#call("status", name, { change }, (task) =>
      this.#infoOf(task, name) === undefined ? undefined : this.#targetLines(task),
    );
  }

  #call<Answer = void>(
    kind: Kind,
    name: string | undefined,
    { change, changesNode = false }: { readonly change?: Change; readonly changesNode?: boolean } = {},
    answer?: (task: Address) => Answer,
  ): Answer {
    this.#library.takeSaid();
    const task = this.#c.dm_task_create(kinds[kind]);
    if (task === null) throw this.#refused(kind, name, 0);
    try {
      if (name !== undefined && this.#c.dm_task_set_name(task, cString(name)) === 0) {
        throw this.#refused(kind, name, 0);
      }
      change?.(task);
      const isDone = changesNode ? this.#runWithUdev(task) : this.#c.dm_task_run(task) !== 0;
      if (!isDone) throw this.#refused(kind, name, this.#c.dm_task_get_errno(task));
      return answer?.(task) as Answer;
    } finally {
      this.#c.dm_task_destroy(task);
    }
  }

  /** Where udevd runs, waits until it has handled the event; where it does not, the library makes the node. */
  #runWithUdev(task: Address): boolean {
    this.#words[0] = 0;
    if (this.#c.dm_task_set_cookie(task, this.#words, 0) === 0) return false;
    const [cookie = 0] = this.#words;
    const isDone = this.#c.dm_task_run(task) !== 0;
    this.#c.dm_udev_wait(cookie);
    return isDone;
  }

  #infoOf(task: Address, name: string): DmDeviceInfo | undefined {
    if (this.#c.dm_task_get_info(task, this.#words) === 0) throw this.#refused("info", name, 0);
    // struct dm_info: 32 bit each
    const field = (index: number) => this.#words[index] ?? 0;
    if (field(0) === 0) return undefined;
    return {
      name,
      isSuspended: field(1) !== 0,
      hasLiveTable: field(2) !== 0,
      hasInactiveTable: field(3) !== 0,
      openCount: field(4),
      eventNumber: field(5),
      major: field(6),
      minor: field(7),
      isReadOnly: field(8) !== 0,
    };
  }

  #targetLines(task: Address): string[] {
    const lines: string[] = [];
    const out = new BigUint64Array(this.#out);
    const place = (index: number) => out.subarray(index, index + 1);
    let next: Address | null = null;
    do {
      next = this.#c.dm_get_next_target(task, next, place(0), place(1), place(2), place(3));
      const [start = 0n, sectors = 0n, target = 0n, parameters = 0n] = out;
      if (target !== 0n) lines.push(`${start} ${sectors} ${textAt(target)} ${textAt(parameters)}`.trimEnd());
    } while (next !== null);
    return lines;
  }

  #refused(kind: Kind, name: string | undefined, errno: number): LibdevmapperError {
    return new LibdevmapperError(kind, name, errno, this.#library.takeSaid());
  }
}

/** Structures in a row, each with the distance to the next (0 in the last) as 32 bit at `nextOffset`. */
function* entriesFrom(first: Address | null, nextOffset: number): Generator<bigint> {
  let at = first === null ? 0n : BigInt(first);
  while (at !== 0n) {
    yield at;
    const distance = read.u32(at, nextOffset);
    at = distance === 0 ? 0n : at + BigInt(distance);
  }
}
