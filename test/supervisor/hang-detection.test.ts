// Room: test. Specifies when a silent child counts as hung.
import { expect, test } from "bun:test";
import { judge } from "../../src/supervisor/hang-detection.ts";

test("a silent child is judged by what it could have done", () => {
  const verdict = (state: string, silentMs: number, cpuMs: number) => judge({ state }, silentMs, cpuMs, 30_000);
  expect(verdict("S", 29_000, 0)).toEqual({ kind: "well" });
  expect(verdict("S", 31_000, 0)).toEqual({ kind: "hung", how: "is blocked" });
  expect(verdict("R", 31_000, 30_000)).toEqual({ kind: "hung", how: "spins" });
  // The machine had no time for it; in the end it is not believed any more.
  expect(verdict("R", 31_000, 3_000)).toEqual({ kind: "starved" });
  expect(verdict("R", 61_000, 6_000)).toEqual({ kind: "hung", how: "spins" });
  expect(verdict("R", 151_000, 3_000)).toEqual({ kind: "hung", how: "spins" });
  expect(verdict("T", 999_000, 0)).toEqual({ kind: "stopped" });
  expect(verdict("D", 999_000, 0)).toEqual({ kind: "in the kernel" });
});
