import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { isSnapmillError } from "../../../../../src/domain/errors.ts";
import { Libdevmapper, LibdevmapperError } from "../../../../../src/drivers/devicemapper/control/libdevmapper/calls.ts";
import { createLibdevmapperControl } from "../../../../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import { openLibdevmapper } from "../../../../../src/drivers/devicemapper/control/libdevmapper/library.ts";

const hasDeviceMapper = existsSync("/sys/class/misc/device-mapper");

test("a missing library is named, and the package that has it", () => {
  const attempt = () => openLibdevmapper("libdevmapper.so.9");
  expect(attempt).toThrow(/libdevmapper\.so\.9 is missing.*package libdevmapper1\.02\.1/);
  try {
    attempt();
  } catch (error) {
    expect(isSnapmillError(error, "failed_precondition")).toBe(true);
  }
});

test("several copies of the library are opened in turn and at once, and each knows of its own failures alone", () => {
  // An unknown name and one that is too long: the former reaches the kernel if it has device-mapper, the latter never does.
  const attempt = (library: Libdevmapper, name: string) => {
    try {
      library.resume(name);
    } catch (error) {
      if (error instanceof LibdevmapperError) return error;
    }
    throw new Error(`${name} was resumed`);
  };
  for (let round = 0; round < 3; round++) {
    using first = new Libdevmapper();
    using second = new Libdevmapper();
    const long = attempt(first, "x".repeat(500));
    const missing = attempt(second, "no-such-device");
    expect(long.errno).toBeUndefined();
    expect(missing.errno).toBe(hasDeviceMapper ? "ENXIO" : undefined);
    expect(missing.said.join(" ")).toMatch(hasDeviceMapper ? /No such device or address/ : /No such device/);
    expect(missing.said.join(" ")).not.toContain("xxx");
    expect(attempt(first, "y".repeat(500)).said.join(" ")).not.toContain("xxx");
  }
});

test("without device-mapper in the kernel, every call says what is missing", async () => {
  await using control = createLibdevmapperControl();
  const calls = [() => control.version(), () => control.info("no-such-device"), () => control.list("no-such")];
  for (const call of calls) {
    const outcome = await call().then(
      () => "answered",
      (error: unknown) => (isSnapmillError(error) ? error.code : String(error)),
    );
    expect(outcome).toBe(hasDeviceMapper ? "answered" : "failed_precondition");
  }
});

test("a control that was never asked anything, and one that is disposed of twice, close", async () => {
  await createLibdevmapperControl()[Symbol.asyncDispose]();
  const control = createLibdevmapperControl();
  await control.info("no-such-device").catch(() => undefined);
  await control[Symbol.asyncDispose]();
  await control[Symbol.asyncDispose]();
});

test("a control whose signal has come is not begun", async () => {
  await using control = createLibdevmapperControl({ signal: AbortSignal.abort() });
  const code = await control.version().catch((error: unknown) => isSnapmillError(error) && error.code);
  expect(code).toBe("aborted");
});
