// Room: bench. Owns the run of a benchmark in the guest, where this kernel has no device-mapper.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { frugalBun, inGuest } from "../test/guest/guest.ts";

const root = join(import.meta.dir, "..");
const guestSeconds = 5400;

export const thinPoolsAreHere = (): boolean => existsSync("/sys/class/misc/device-mapper");

/** Exit status of the program at `path`, run again in the guest. */
export async function runSelfInGuest(path: string, args: readonly string[]): Promise<number> {
  const command = inGuest([process.execPath, path, ...args], { timeoutSeconds: guestSeconds, environment: frugalBun });
  return await Bun.spawn(command, { cwd: root, stdio: ["ignore", "inherit", "inherit"] }).exited;
}
