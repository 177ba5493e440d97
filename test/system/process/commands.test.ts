import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandError, runCommand } from "../../../src/system/process/commands.ts";

const failureOf = (attempt: Promise<unknown>): Promise<unknown> =>
  attempt.then(
    () => "succeeded",
    (error: unknown) => error,
  );

describe("running a command", () => {
  test("gives its output, hands it the input, and speaks C whatever the caller's language", async () => {
    const { stdout, stderr } = await runCommand(
      "sh",
      ["-c", 'cat; echo "$LC_ALL"; test -n "$PATH" && echo kept; echo oops >&2'],
      {
        input: "in\n",
      },
    );
    expect(stdout).toBe("in\nC\nkept");
    expect(stderr).toBe("oops");
  });

  test("without input, the command reads an empty one", async () => {
    expect((await runCommand("cat", [])).stdout).toBe("");
  });

  test("a brief one says nothing but why it failed", async () => {
    const run = (script: string) => runCommand("sh", ["-c", script], { isBrief: true });
    expect(await run("echo chatter")).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    const failure = await failureOf(run("echo chatter; echo no such luck >&2; exit 3"));
    expect(failure).toMatchObject({ code: "internal", exitCode: 3, stderr: "no such luck" });
    expect(String(failure)).toEndWith("exit status 3: no such luck");
  });

  test("a failure carries exit code and stderr, and is named with its arguments", async () => {
    const failure = await failureOf(runCommand("sh", ["-c", "echo thinking; echo no such luck >&2; exit 3"]));
    expect(failure).toBeInstanceOf(CommandError);
    expect(failure).toMatchObject({ code: "internal", exitCode: 3, stderr: "no such luck" });
    expect(String(failure)).toContain("exit status 3: thinking\nno such luck");
  });

  test("exit codes that mean success are the caller's to say", async () => {
    expect((await runCommand("sh", ["-c", "exit 1"], { successCodes: [0, 1] })).exitCode).toBe(1);
  });

  test("a command that a signal ended is a failure without an exit code", async () => {
    const failure = await failureOf(runCommand("sh", ["-c", "kill -9 $$"]));
    expect(failure).toMatchObject({ code: "internal", exitCode: undefined });
    expect(String(failure)).toContain("SIGKILL");
  });

  test("a missing program is named with the package that has it", async () => {
    const withoutPath = 'PATH=/nowhere exec "$0" -e "$1"';
    expect(await failureOf(runCommand("no-such-program-here", []))).toMatchObject({ code: "failed_precondition" });
    // With no PATH at all the administrator's programs are still found; those of /usr/bin are not.
    const script = `
      const { runCommand } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/system/process/commands.ts"))});
      console.log((await runCommand("mkfs.ext4", ["-V"])).exitCode);
      await runCommand("fsfreeze-is-not-here", []).catch((error) => console.log(error.message));
    `;
    const { stdout } = await runCommand("sh", ["-c", withoutPath, process.execPath, script]);
    expect(stdout).toStartWith("0\nthe program fsfreeze-is-not-here is missing");
  });

  test("out of time, the effect is unknown, and the process is gone even if it ignores SIGTERM", async () => {
    const dir = await mkdtemp(join(tmpdir(), "snapmill-commands-"));
    const stubborn = `trap "" TERM; echo $$ > ${dir}/pid; while :; do sleep 0.1; done`;
    const failure = await failureOf(runCommand("sh", ["-c", stubborn], { timeoutMs: 300 }));
    expect(failure).toMatchObject({ code: "deadline_exceeded" });
    expect(String(failure)).toContain("effect is unknown");
    const pid = Number(await Bun.file(join(dir, "pid")).text());
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    await rm(dir, { recursive: true });
  }, 20_000);

  test("a signal ends the command", async () => {
    const cancel = new AbortController();
    const failure = failureOf(runCommand("sleep", ["60"], { signal: cancel.signal }));
    cancel.abort();
    expect(await failure).toMatchObject({ code: "aborted" });
  }, 20_000);
});
