import { expect, test } from "bun:test";
import { delayAfter, FailureBrake, networkOf } from "../../src/api/http/failure-brake.ts";
import { RequestRates, StreamSlots } from "../../src/api/http/request-rates.ts";
import { AbortReason, Canceller } from "../../src/domain/cancellation.ts";

test("the first failures cost nothing, later ones more and more, up to two seconds", () => {
  expect([1, 5, 6, 7, 8, 10, 11, 1000].map(delayAfter)).toEqual([0, 0, 100, 200, 400, 1600, 2000, 2000]);
});

test("so many may wait, and more are turned away at once; who leaves waits no longer", async () => {
  const brake = new FailureBrake();
  const caller = new Canceller();
  const hold = (address: string) => brake.hold(address, caller.signal);
  for (let count = 1; count <= 5; count += 1) expect(await hold("192.0.2.1")).toBe("held");
  const waiting = Array.from({ length: 64 }, () => hold("192.0.2.1"));
  expect(await hold("192.0.2.1")).toBe("turned away");
  expect(await hold("192.0.2.2")).toBe("held");
  caller.cancel(new AbortReason("cancelled", "the caller has left"));
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["held"]));
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
  ["2001:db8::9", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
])("the address %s counts as %s", (address, network) => expect(networkOf(address)).toBe(network));

test("a token has its requests a second, and a burst of two seconds; others have theirs", () => {
  const rates = new RequestRates(10);
  const burst = Array.from({ length: 20 }, () => rates.take("a", 0));
  expect(burst).toEqual(Array<number>(20).fill(0));
  expect(rates.take("a", 0)).toBeCloseTo(0.1);
  expect(rates.take("b", 0)).toBe(0);
  expect(rates.take("a", 50)).toBeGreaterThan(0);
  expect(rates.take("a", 150)).toBe(0);
  expect(rates.take("a", 150)).toBeGreaterThan(0);
  for (let count = 0; count < 20; count += 1) expect(rates.take("a", 10_000)).toBe(0);
  expect(rates.take("a", 10_000)).toBeGreaterThan(0);
});

test("a token has 16 streams, all together 256; an ended one makes room, once", () => {
  const slots = new StreamSlots();
  const own = Array.from({ length: 16 }, () => slots.take("a"));
  expect(own.every(Boolean)).toBe(true);
  expect(slots.take("a")).toBeUndefined();
  own[0]?.[Symbol.dispose]();
  own[0]?.[Symbol.dispose]();
  expect(slots.take("a")).toBeDefined();
  expect(slots.take("a")).toBeUndefined();
  for (let token = 0; token < 15; token += 1) {
    for (let count = 0; count < 16; count += 1) expect(slots.take(`t${token}`)).toBeDefined();
  }
  expect(slots.take("late")).toBeUndefined();
});
