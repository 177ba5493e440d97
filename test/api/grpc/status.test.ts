import { expect, test } from "bun:test";
import { status } from "@grpc/grpc-js";
import { checkAddress } from "../../../src/api/grpc/address.ts";
import { asCallFailure, statusOf } from "../../../src/api/grpc/status.ts";
import { errorCodes, SnapmillError } from "../../../src/domain/errors.ts";

test.each(errorCodes)("%s is the gRPC code of that name", (code) => {
  const { code: number, details } = statusOf(new SnapmillError(code, "why"));
  expect(status[number]).toBe(code.toUpperCase());
  expect(details).toBe("why");
});

test("a message that no header could carry is cut and mended", () => {
  const { details } = statusOf(new SnapmillError("internal", `${"x".repeat(2047)}😀`));
  expect(details).toHaveLength(2048);
  expect(() => encodeURI(details)).not.toThrow();
});

test("a database that is locked for the moment is unavailable, any other surprise internal", () => {
  const busy = Object.assign(new Error("database is locked"), { code: "SQLITE_BUSY" });
  expect(asCallFailure(busy).code).toBe("unavailable");
  expect(asCallFailure(new TypeError("x is undefined")).code).toBe("internal");
});

test("an address fits into a socket's path, or the option that shortens it is named", () => {
  const longest = `/${"x".repeat(106)}`;
  expect(checkAddress(longest)).toBe(longest);
  expect(() => checkAddress(`${longest}x`)).toThrow(
    /at most 107 bytes, this one 108; give a shorter one with --grpc-address/,
  );
  expect(() => checkAddress(`/${"é".repeat(54)}`)).toThrow(/this one 109/);
});
