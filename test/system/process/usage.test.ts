// Room: test. Owns what is read of a process's use of the machine, against processes whose use is known.
import { expect, test } from "bun:test";
import { usageOf, usageOfSessions } from "../../../src/system/process/usage.ts";
import { until } from "../../support/until.ts";

test("a session's use is that of all its processes, and a child's time stays when the child has ended", async () => {
  const script =
    "dd if=/dev/zero of=/dev/null bs=1M count=3000 2>/dev/null; sleep 600 7</dev/null & echo through; wait";
  const child = Bun.spawn(["setsid", "--fork", "--wait", "sh", "-c", `echo $$; ${script}`], { stdout: "pipe" });
  const reader = child.stdout.getReader();
  let said = "";
  while (!said.includes("through")) said += new TextDecoder().decode((await reader.read()).value);
  const leader = Number(said.split("\n")[0]);
  try {
    const both = () => usageOfSessions([leader, 2 ** 22 + 1]);
    await until(
      "the sleeper has its descriptor",
      () => (both().get(leader)?.openFds ?? 0) - (usageOf(leader)?.openFds ?? 0),
      (more) => more > 3,
    );
    expect([...both().keys()]).toEqual([leader]);
    const [usage, alone] = [both().get(leader), usageOf(leader)];
    expect(usage?.cpuSeconds).toBeGreaterThan(0);
    expect(usage?.residentBytes).toBeGreaterThan(alone?.residentBytes ?? 0);
    expect(Math.abs((usage?.startedSeconds ?? 0) - Date.now() / 1000)).toBeLessThan(600);
  } finally {
    process.kill(-leader, "SIGKILL");
    await child.exited;
  }
});

test("a process that is not there uses nothing", () => {
  expect(usageOf(2 ** 22 + 1)).toBeUndefined();
  expect(usageOf(process.pid)?.residentBytes).toBeGreaterThan(10 * 2 ** 20);
});
