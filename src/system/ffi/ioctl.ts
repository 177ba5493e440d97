// Room: system. Owns ioctl(2): one function for requests that take a number, one for those that take a structure.
import { FFIType, ptr } from "bun:ffi";
import { checked, openLibc } from "./libc.ts";

// ioctl is variadic in C; on both of our architectures an integer argument travels as in an ordinary call.
const withNumber = openLibc({
  ioctl: { args: [FFIType.i32, FFIType.u64_fast, FFIType.i64_fast], returns: FFIType.i32 },
});
const withPointer = openLibc({ ioctl: { args: [FFIType.i32, FFIType.u64_fast, FFIType.ptr], returns: FFIType.i32 } });

/** `name` and `subject` are for the error's message. Throws SystemCallError. */
export function ioctlNumber(fd: number, request: number, argument: number, name: string, subject: string): number {
  return checked(withNumber.ioctl(fd, request, argument), name, subject);
}

/** `structure` is read, and written where the request answers through it. Throws SystemCallError. */
export function ioctlBuffer(fd: number, request: number, structure: Buffer, name: string, subject: string): number {
  return checked(withPointer.ioctl(fd, request, ptr(structure)), name, subject);
}
