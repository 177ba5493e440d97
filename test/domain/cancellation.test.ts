// Room: test. Owns the cancellation of work: its signal, whenever that is asked for, and its first reason.
import { expect, test } from "bun:test";
import { AbortReason, abortReason, Canceller } from "../../src/domain/cancellation.ts";

const gone = new AbortReason("cancelled", "the caller has gone");
const stopping = new AbortReason("stopping", "snapmill is being stopped");

test("a signal that is asked for after the cancellation is aborted already, with the first reason", () => {
  const canceller = new Canceller();
  canceller.cancel(gone);
  canceller.cancel(stopping);
  expect([canceller.isCancelled, abortReason(canceller.signal)]).toEqual([true, gone]);
});

test("a signal that was asked for before is aborted with the first reason, and stays the same", () => {
  const canceller = new Canceller();
  const { signal } = canceller;
  expect([canceller.isCancelled, signal.aborted]).toEqual([false, false]);
  canceller.cancel(gone);
  canceller.cancel(stopping);
  expect([canceller.signal === signal, abortReason(signal)]).toEqual([true, gone]);
});
