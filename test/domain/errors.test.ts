import { describe, expect, test } from "bun:test";
import { decodeFailure, encodeFailure, errorCodes, isRetryable, SnapmillError } from "../../src/domain/errors.ts";

describe("a failure crosses the queue", () => {
  test.each([...errorCodes])("with its code %s and its message", (code) => {
    const back = decodeFailure(encodeFailure(new SnapmillError(code, "pool “a”: 100 % full\nsecond line")));
    expect(back.code).toBe(code);
    expect(back.message).toBe("pool “a”: 100 % full\nsecond line");
  });

  test("as internal when it had no code", () => {
    expect(decodeFailure(encodeFailure(new TypeError("x is undefined"))).code).toBe("internal");
  });

  test.each(["job stalled more than allowable limit", "snapmill:{", 'snapmill:{"code":"odd","message":"m"}'])(
    "as internal with the whole text when %p was not written by snapmill",
    (text) => {
      const back = decodeFailure(text);
      expect(back.code).toBe("internal");
      expect(back.message).toBe(text);
    },
  );
});

test("only transient errors are worth a retry", () => {
  expect(errorCodes.filter(isRetryable)).toEqual(["unavailable", "aborted"]);
});
