// Room: drivers. Owns the errno behind an error message of dmsetup.
import { failedPrecondition, type SnapmillError } from "../../../domain/errors.ts";
import { DmError } from "./control.ts";

/** glibc's texts, in the C locale, for errors of device-mapper's ioctls and of opening its control node. */
const errnoOfText: Readonly<Record<string, string>> = {
  "Argument list too long": "E2BIG",
  "Bad address": "EFAULT",
  "Bad file descriptor": "EBADF",
  "Bad message": "EBADMSG",
  "Block device required": "ENOTBLK",
  "Cannot allocate memory": "ENOMEM",
  "Device or resource busy": "EBUSY",
  "File exists": "EEXIST",
  "File name too long": "ENAMETOOLONG",
  "Function not implemented": "ENOSYS",
  "Inappropriate ioctl for device": "ENOTTY",
  "Input/output error": "EIO",
  "Interrupted system call": "EINTR",
  "Invalid argument": "EINVAL",
  "Invalid or incomplete multibyte or wide character": "EILSEQ",
  "No data available": "ENODATA",
  "No space left on device": "ENOSPC",
  "No such device": "ENODEV",
  "No such device or address": "ENXIO",
  "No such file or directory": "ENOENT",
  "Numerical result out of range": "ERANGE",
  "Operation canceled": "ECANCELED",
  "Operation not permitted": "EPERM",
  "Operation not supported": "EOPNOTSUPP",
  "Permission denied": "EACCES",
  "Read-only file system": "EROFS",
  "Remote I/O error": "EREMOTEIO",
  "Resource deadlock avoided": "EDEADLK",
  "Resource temporarily unavailable": "EAGAIN",
  "Structure needs cleaning": "EUCLEAN",
  "Too many open files": "EMFILE",
  "Too many open files in system": "ENFILE",
  "Value too large for defined data type": "EOVERFLOW",
};

/** The text of `status` and `info` where other verbs name the errno. */
const missing = "Device does not exist.";

/** The errno in dmsetup's standard error: the text after the last "failed: "; `EUNKNOWN` without one. */
export function errnoOf(stderr: string): string {
  const text = [...stderr.matchAll(/failed: (.+)/g)].at(-1)?.[1];
  if (text !== undefined) return errnoOfText[text.trim()] ?? "EUNKNOWN";
  return stderr.includes(missing) ? "ENXIO" : "EUNKNOWN";
}

/** dmsetup's failure of `verb` as an error: the kernel's answer, or that there is no device-mapper. */
export function refusal(verb: string, name: string, stderr: string): SnapmillError {
  const said = stderr.split("\n").find((line) => line.trim() !== "") ?? "it gave no reason";
  if (/Failure to communicate with kernel|Incompatible libdevmapper/.test(stderr)) {
    const wayOut = "load the kernel modules dm-mod and dm-thin-pool, and run as root";
    return failedPrecondition(`device-mapper is not available here (${said}): ${wayOut}`);
  }
  const errno = errnoOf(stderr);
  return new DmError(errno, `device-mapper refuses ${verb} ${name}: ${said.trim()}`);
}
