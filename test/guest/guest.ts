// Room: test. Owns the interface to the guest: how a command runs in it, and why there may be no guest.
import { readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

export interface GuestOptions {
  /** For everything, the boot included. Default: 300. */
  readonly timeoutSeconds?: number;
  /** Of those, for the boot. Default: 60. */
  readonly bootSeconds?: number;
  /** Directories of the machine that the guest shares read-write, besides the current one. */
  readonly shares?: readonly string[];
  /** Nothing else of the environment is passed on, but PATH. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** The command line that runs `command` in a guest of its own: see test/guest/run.sh. */
export function inGuest(command: readonly string[], options: GuestOptions = {}): string[] {
  const flags = [
    ...(options.timeoutSeconds === undefined ? [] : ["-t", String(options.timeoutSeconds)]),
    ...(options.bootSeconds === undefined ? [] : ["-b", String(options.bootSeconds)]),
    ...(options.shares ?? []).flatMap((directory) => ["-w", directory]),
    ...Object.entries(options.environment ?? {}).flatMap(([name, value]) => ["-e", `${name}=${value}`]),
  ];
  return ["bash", join(root, "test/guest/run.sh"), ...flags, "--", ...command];
}

/** The exit status of run.sh when the time was up, and when the guest did not boot or died. */
export const guestTimedOut = 124;
export const guestDied = 125;

/** Given to run.sh, this variable holds why no guest boots here, so that it is not tried again: see test/guest/run.sh. */
export const guestTroubleVariable = "GUEST_TROUBLE";

/** What makes Bun bearable where there is one processor, and every thread's start and every page's fault is dear. */
export const frugalBun: Readonly<Record<string, string>> = {
  BUN_JSC_useConcurrentGC: "0",
  BUN_JSC_numberOfGCMarkers: "1",
  BUN_JSC_useConcurrentJIT: "0",
  MIMALLOC_PURGE_DELAY: "-1",
};

/** Why no guest can run on this machine; nothing when one can. */
export function whyNoGuest(): string | undefined {
  if (process.arch !== "x64")
    return `the guest kernel (user-mode Linux) exists for amd64 alone, and this is ${process.arch}`;
  if (process.getuid?.() !== 0) return "the guest needs root";
  return undefined;
}

/** Fetches the guest where it is not there yet; throws when that fails. For a test's `beforeAll`, with minutes of time. */
export async function setUpGuest(): Promise<void> {
  const setUp = Bun.spawn(["bash", join(root, "test/guest/setup.sh")], { stdout: "ignore", stderr: "pipe" });
  const complaint = await new Response(setUp.stderr).text();
  if ((await setUp.exited) !== 0) throw new Error(`the guest could not be set up: ${complaint}`);
}

/** How long `setUpGuest` may take: it downloads. */
export const setUpTimeoutMs = 15 * 60_000;

/** The guest kernel's release, "6.1.176" say, as far as it has been set up. */
export function guestRelease(): string | undefined {
  try {
    return readdirSync(join(root, ".tools/guest/layer/usr/lib/modules"))[0];
  } catch {
    return undefined;
  }
}
