// Room: drivers. Owns how device-mapper names are written: as libdevmapper escapes them for /dev/mapper.
import { invalidArgument } from "../../../domain/errors.ts";

/** DM_NAME_LEN in linux/dm-ioctl.h is 128, with the zero at the end. */
const maxNameBytes = 127;

/** libdevmapper's white list (`_is_whitelisted_char` in libdm-common.c); every other byte becomes `\xNN`. */
const plainByte = /^[A-Za-z0-9#+\-.:=@_]$/;

/**
 * The name as the kernel and /dev/mapper have it: `my pool` → `my\x20pool`. Throws invalid_argument for a name that
 * no device can have.
 */
export function escapeName(name: string): string {
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    throw invalidArgument(
      `${JSON.stringify(name)} cannot name a device: give it a file name's characters, without "/"`,
    );
  }
  const escaped = [...Buffer.from(name)].map(escapeByte).join("");
  if (escaped.length > maxNameBytes) {
    throw invalidArgument(`the device name ${JSON.stringify(name)} is longer than ${maxNameBytes} bytes: shorten it`);
  }
  return escaped;
}

function escapeByte(byte: number): string {
  const character = String.fromCharCode(byte);
  return plainByte.test(character) ? character : `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** The name that `escapeName` was given; one that another program left unescaped stays as it is. */
export function unescapeName(escaped: string): string {
  const bytes = escaped
    .split(/(\\x[0-9a-f]{2})/)
    .map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.from(part.slice(2), "hex")));
  return Buffer.concat(bytes).toString();
}

/** Where the device is found: `/dev/mapper/<escaped name>`. */
export const devicePath = (name: string): string => `/dev/mapper/${escapeName(name)}`;
