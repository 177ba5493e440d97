// Room: system. Owns what is known of the running kernel's boot: which one it is, and how long ago.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** Of the running kernel: containers of one machine share it, two machines never do. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return hostname();
  }
}

/** A clock that all processes of the machine share and that is never set; in milliseconds, to a hundredth of a second. */
export function sinceBootMs(): number {
  const [seconds = ""] = readFileSync("/proc/uptime", "utf8").split(" ");
  return Math.round(Number(seconds) * 1000);
}
