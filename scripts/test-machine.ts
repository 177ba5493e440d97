// Room: scripts. Owns the choice of where the device-mapper suites run: on this kernel, in a guest, or nowhere.
import { release } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../src/config.ts";
import { runCommand } from "../src/system/process/commands.ts";
import { guestRelease, inGuest, setUpTimeoutMs, whyNoGuest } from "../test/guest/guest.ts";
import type { TestProcesses } from "./test-process.ts";

export type TestMachine =
  | { readonly kind: "here"; readonly text: string }
  | { readonly kind: "guest"; readonly text: string }
  | { readonly kind: "nowhere"; readonly reason: string }
  | { readonly kind: "broken"; readonly text: string };

const root = join(import.meta.dir, "..");

/** A guest boots within seconds; one that does not is reported within half a minute. */
const bootSeconds = 25;

/** Asks the kernel; if it has no thin-pools, fetches the guest and boots it once. */
export async function findTestMachine(processes: TestProcesses): Promise<TestMachine> {
  if (await kernelHasThinPools()) return { kind: "here", text: `on this kernel, ${release()}, which has thin-pools` };
  const reason = whyNoGuest();
  if (reason !== undefined) return { kind: "nowhere", reason: `this kernel has no thin-pools, and ${reason}` };
  const setUp = ["bash", join(root, "test/guest/setup.sh")];
  const { trouble, said } = await processes.run(setUp, childEnvironment({}), setUpTimeoutMs);
  if (trouble !== undefined) return { kind: "broken", text: `the set-up of the guest ${trouble}:\n${said.trimEnd()}` };
  const boot = await processes.run(
    inGuest(["true"], { bootSeconds, timeoutSeconds: bootSeconds }),
    childEnvironment({}),
    bootSeconds * 1000 + 5_000,
  );
  if (boot.trouble !== undefined) {
    const [first = boot.trouble] = boot.said.split("\n").map((line) => line.replace(/^guest: /, ""));
    return { kind: "broken", text: first };
  }
  return { kind: "guest", text: `in the guest, kernel ${guestRelease() ?? "unknown"}` };
}

/** Found out by trying: the module may be built in, loaded or missing, and a container may hide the device. */
async function kernelHasThinPools(): Promise<boolean> {
  const does = async (file: string, args: readonly string[]): Promise<string> => {
    try {
      return (await runCommand(file, args, { timeoutMs: 20_000 })).stdout;
    } catch {
      return "";
    }
  };
  await does("modprobe", ["--quiet", "dm-thin-pool"]);
  return /^thin-pool\s/m.test(await does("dmsetup", ["targets"]));
}
