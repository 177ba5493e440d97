// Room: drivers. Owns a copy of libdevmapper for the calling thread alone: its functions, and what it says when one fails.
import { CString, dlopen, FFIType, JSCallback, type Pointer } from "bun:ffi";
import { closeSync, readFileSync, writeFileSync } from "node:fs";
import { failedPrecondition } from "../../../../domain/errors.ts";
import { checked, cString, openLibc, SystemCallError } from "../../../../system/ffi/libc.ts";

const libdevmapperName = "libdevmapper.so.1.02.1";

const { i32, u32, u64, ptr } = FFIType;
const none = FFIType.void;

/** libdevmapper.h of LVM2 2.03; `dm_task` is its word for one call to the kernel. */
const functions = {
  dm_driver_version: { args: [ptr, u64], returns: i32 },
  dm_get_library_version: { args: [ptr, u64], returns: i32 },
  dm_get_next_target: { args: [ptr, ptr, ptr, ptr, ptr, ptr], returns: ptr },
  dm_lib_release: { args: [], returns: none },
  dm_log_with_errno_init: { args: [ptr], returns: none },
  dm_set_name_mangling_mode: { args: [i32], returns: i32 },
  dm_task_add_target: { args: [ptr, u64, u64, ptr, ptr], returns: i32 },
  dm_task_create: { args: [i32], returns: ptr },
  dm_task_deferred_remove: { args: [ptr], returns: i32 },
  dm_task_destroy: { args: [ptr], returns: none },
  dm_task_get_errno: { args: [ptr], returns: i32 },
  dm_task_get_info: { args: [ptr, ptr], returns: i32 },
  dm_task_get_names: { args: [ptr], returns: ptr },
  dm_task_get_versions: { args: [ptr], returns: ptr },
  dm_task_no_flush: { args: [ptr], returns: i32 },
  dm_task_run: { args: [ptr], returns: i32 },
  dm_task_set_cookie: { args: [ptr, ptr, u32], returns: i32 },
  dm_task_set_message: { args: [ptr, ptr], returns: i32 },
  dm_task_set_name: { args: [ptr, ptr], returns: i32 },
  dm_task_set_sector: { args: [ptr, u64], returns: i32 },
  dm_task_skip_lockfs: { args: [ptr], returns: i32 },
  dm_udev_set_checking: { args: [i32], returns: none },
  dm_udev_wait: { args: [u32], returns: i32 },
} as const;

const mangleNothing = 0;
const loadLazily = 1;

const libc = openLibc({
  dladdr: { args: [ptr, ptr], returns: i32 },
  dlopen: { args: [ptr, i32], returns: ptr },
  dlsym: { args: [ptr, ptr], returns: ptr },
  memfd_create: { args: [ptr, u32], returns: i32 },
  // Variadic in truth. Integers and pointers travel alike to both kinds of function on x86-64 and on 64-bit ARM.
  snprintf: { args: [ptr, u64, ptr, ...Array.from({ length: 12 }, () => u64)], returns: i32 },
});

/** Levels of libdevmapper's log: 2 fatal, 3 error, 4 warning; higher ones are ignored. The bits above are flags. */
const levelMask = 7;
const warningLevel = 4;
const maxLines = 20;
const lineBytes = 2048;

/**
 * Errors: `failed_precondition` when the library is missing.
 *
 * It keeps its log function, its descriptor of /dev/mapper/control and a list of nodes to be made in static
 * variables, and locks none of them. Each thread therefore loads a copy of the file: a thread that the kernel holds in
 * a call can be abandoned, and when the call returns it shares nothing with other threads.
 */
export function openLibdevmapper(name = libdevmapperName) {
  const path = findLibrary(name);
  const copy = copyInMemory(path);
  // The descriptor stays open: the dynamic linker takes a path that it has seen before for the same library.
  const library = dlopen(`/proc/self/fd/${copy}`, functions);
  const log = captureLog();
  const { symbols } = library;
  symbols.dm_log_with_errno_init(log.callback.ptr);
  symbols.dm_set_name_mangling_mode(mangleNothing);
  // A node that udev has not made or removed in time is made or removed by the library, as with dmsetup --verifyudev.
  symbols.dm_udev_set_checking(1);
  return {
    symbols,
    /** Takes the errors and warnings since it was last called. */
    takeSaid: () => log.lines.splice(0),
    [Symbol.dispose]: () => {
      symbols.dm_lib_release();
      symbols.dm_log_with_errno_init(null);
      library.close();
      log.callback.close();
      closeSync(copy);
    },
  };
}

export type LibdevmapperLibrary = ReturnType<typeof openLibdevmapper>;

/** Where the dynamic linker finds the library: its rules are its own, so it is asked to load it. */
function findLibrary(name: string): string {
  const handle = libc.dlopen(cString(name), loadLazily);
  if (handle === null) {
    const wayOut = "install the package libdevmapper1.02.1, or choose the control dmsetup";
    throw failedPrecondition(`the library ${name} is missing on this machine; ${wayOut}`);
  }
  // Dl_info begins with the file's name.
  const info = new BigUint64Array(new ArrayBuffer(32));
  libc.dladdr(libc.dlsym(handle, cString("dm_lib_release")), info);
  const [path = 0n] = info;
  return textAt(path);
}

const memfdFlags = { closeOnExec: 1, executable: 16 } as const;

function copyInMemory(path: string): number {
  const name = cString("libdevmapper");
  // Kernels before 6.3 do not know the flag, and need none.
  let copy = libc.memfd_create(name, memfdFlags.closeOnExec | memfdFlags.executable);
  if (copy === -1) copy = checked(libc.memfd_create(name, memfdFlags.closeOnExec), "memfd_create", path);
  writeFileSync(copy, readFileSync(path));
  return copy;
}

/** The callback gets a printf format and its arguments: more of them are declared than any message has. */
function captureLog() {
  const lines: string[] = [];
  const line = new Uint8Array(new ArrayBuffer(lineBytes));
  const callback = new JSCallback(
    (level: number, _file: Pointer, _line: number, _class: number, format: Pointer, ...values: bigint[]) => {
      if ((level & levelMask) > warningLevel || lines.length >= maxLines) return;
      libc.snprintf(line, lineBytes, format, ...values);
      lines.push(Buffer.from(line.subarray(0, line.indexOf(0))).toString());
    },
    { args: [i32, ptr, i32, i32, ptr, ...Array.from({ length: 12 }, () => u64)], returns: none },
  );
  return { lines, callback };
}

/** The name of an errno: `EBUSY`. */
export const errnoName = (value: number): string => new SystemCallError("", "", value).code;

/** The text at an address that C gave; empty for a null pointer. */
export const textAt = (address: bigint): string => (address === 0n ? "" : CString(address));
