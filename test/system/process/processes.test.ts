import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../../src/config.ts";
import { describeExit, startProcess } from "../../../src/system/process/processes.ts";
import { isAlive } from "../../support/processes.ts";
import { until } from "../../support/until.ts";

const environment = childEnvironment({});
const quiet = { environment, stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;

test("a child gets its arguments and environment, and speaks over its pipes", async () => {
  const child = startProcess(["sh", "-c", 'read line; echo "$line $0 $GREETING"', "two words"], {
    environment: { ...environment, GREETING: "hello" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  void child.stdin.write("a line\n");
  await child.stdin.end();
  expect(await new Response(child.stdout).text()).toBe("a line two words hello\n");
  expect(await child.exited).toEqual({ kind: "exited", code: 0 });
});

test("the end of a child tells status and signal apart", async () => {
  const failing = startProcess(["sh", "-c", "exit 3"], quiet);
  expect(describeExit(await failing.exited)).toBe("exited with status 3");
  const killed = startProcess(["sleep", "60"], quiet);
  killed.kill("SIGKILL");
  expect(describeExit(await killed.exited)).toBe("was killed by SIGKILL");
  const missing = startProcess(["/no/such/program"], quiet);
  expect(await missing.exited).toEqual({ kind: "exited", code: 127 });
});

test("stop ends a willing child by SIGTERM and a deaf one by SIGKILL", async () => {
  const willing = startProcess(["sleep", "60"], quiet);
  expect(await willing.stop({ graceMs: 10_000 })).toEqual({ kind: "killed", signal: "SIGTERM" });

  const deaf = startProcess(["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"], {
    ...quiet,
    stdout: "pipe",
  });
  await deaf.stdout.getReader().read();
  expect(await deaf.stop({ graceMs: 100 })).toEqual({ kind: "killed", signal: "SIGKILL" });
});

test("a child dies with its parent, also when that is killed by SIGKILL", async () => {
  const directory = mkdtempSync(join(tmpdir(), "snapmill-processes-"));
  try {
    const script = join(directory, "parent.ts");
    await Bun.write(
      script,
      `import { startProcess } from ${JSON.stringify(join(import.meta.dir, "../../../src/system/process/processes.ts"))};
       const child = startProcess(["sleep", "600"], ${JSON.stringify({ ...quiet, environment: { PATH: environment["PATH"] } })});
       console.log(child.pid);
       await child.exited;`,
    );
    const parent = startProcess([process.execPath, script], { ...quiet, stdout: "pipe", stderr: "inherit" });
    const { value } = await parent.stdout.getReader().read();
    const childPid = Number(new TextDecoder().decode(value));
    expect(isAlive(childPid)).toBe(true);
    parent.kill("SIGKILL");
    await parent.exited;
    await until("the child has ended", () => !isAlive(childPid));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
