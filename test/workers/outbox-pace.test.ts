// Room: test. Owns how often entries of the outbox are looked up in Redis: new ones at once, known ones ever more rarely.
import { expect, test } from "bun:test";
import { freshOperationId } from "../../src/domain/identifiers.ts";
import { OutboxPace } from "../../workers/outbox-pace.ts";

const entry = () => ({ operationId: freshOperationId() });

test("new entries are due at once, known ones only after a loss", () => {
  const pace = new OutboxPace();
  const [first, second] = [entry(), entry()];
  /** A round in which nothing had changed in Redis. */
  const round = (all: { operationId: ReturnType<typeof freshOperationId> }[], mayHaveLost = false) => {
    const { entries, looked } = pace.choose(all, mayHaveLost);
    looked(false);
    return entries;
  };
  expect(round([first])).toEqual([first]);
  expect(round([first])).toEqual([]);
  expect(round([first, second])).toEqual([second]);
  expect(round([first, second], true)).toEqual([first, second]);
  expect(round([first, second])).toEqual([]);
  // One that was settled, and is accepted again, is new.
  expect(round([first])).toEqual([]);
  expect(round([first, second])).toEqual([second]);
});

test("a look that failed is due again", () => {
  const pace = new OutboxPace();
  const first = entry();
  expect(pace.choose([first], false).entries).toEqual([first]);
  expect(pace.choose([first], false).entries).toEqual([first]);
});

test("an entry that is accepted again is due at once, also when it was accepted while it was looked at", () => {
  const pace = new OutboxPace();
  const [first, second] = [entry(), entry()];
  const all = [first, second];
  pace.choose(all, false).looked(false);
  pace.forget([second]);
  const { entries, looked } = pace.choose(all, false);
  expect(entries).toEqual([second]);
  pace.forget([first]);
  looked(false);
  expect(pace.choose(all, false).entries).toEqual([first]);
});
