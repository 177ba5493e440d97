// Room: test. Owns the slots that a stream fills: what goes into each, and that none is lost.
import { expect, test } from "bun:test";
import { AbortReason, Canceller } from "../../src/domain/cancellation.ts";
import { slotBytes, slotCount } from "../../src/unpack/blob-messages.ts";
import { FreeSlots, SlotFiller } from "../../src/unpack/blob-slots.ts";

function filling() {
  const memory = new Uint8Array(slotCount * slotBytes);
  const free = new FreeSlots();
  const dropped = new Canceller();
  const passed: { slot: number; lengthBytes: number }[] = [];
  const filler = new SlotFiller(memory, free, dropped.signal, (slot, lengthBytes) =>
    passed.push({ slot, lengthBytes }),
  );
  const drop = () => {
    dropped.cancel(new AbortReason("over", "nobody reads it"));
    free.wake();
  };
  return { memory, free, filler, passed, drop };
}

async function countFree(free: FreeSlots): Promise<number> {
  const counting = new Canceller();
  let count = 0;
  const taking = (async () => {
    for (;;) {
      await free.take(counting.signal);
      count++;
    }
  })();
  await Bun.sleep(1);
  counting.cancel(new AbortReason("over", "counted"));
  free.wake();
  await taking.catch(() => undefined);
  return count;
}

test("bytes fill one slot after the other, and the last one is passed on as it is", async () => {
  const { memory, filler, passed } = filling();
  {
    using slots = filler;
    await slots.add(new Uint8Array(slotBytes - 1).fill(1));
    expect(passed).toEqual([]);
    await slots.add(new Uint8Array(slotBytes + 1).fill(2));
    expect(passed).toEqual([
      { slot: 0, lengthBytes: slotBytes },
      { slot: 1, lengthBytes: slotBytes },
    ]);
    await slots.add(new Uint8Array(3).fill(3));
  }
  expect(passed[2]).toEqual({ slot: 2, lengthBytes: 3 });
  expect(memory.indexOf(2)).toBe(slotBytes - 1);
  expect(memory.indexOf(3)).toBe(2 * slotBytes);
});

test("bytes that are in their slot already are not copied", async () => {
  const { memory, filler, passed } = filling();
  await filler.add(new Uint8Array([1]));
  const room = await filler.room();
  expect(room.length).toBe(slotBytes - 1);
  room[0] = 2;
  await filler.add(room.subarray(0, 1));
  await filler.add(new Uint8Array([3]));
  filler[Symbol.dispose]();
  expect(passed).toEqual([{ slot: 0, lengthBytes: 3 }]);
  expect([...memory.subarray(0, 4)]).toEqual([1, 2, 3, 0]);
});

test("a slot that is not passed on is free again: the stream was dropped, or had nothing more", async () => {
  const dropped = filling();
  await dropped.filler.add(new Uint8Array(5));
  dropped.drop();
  dropped.filler[Symbol.dispose]();
  expect(dropped.passed).toEqual([]);
  expect(await countFree(dropped.free)).toBe(slotCount);
  const empty = filling();
  await empty.filler.room();
  empty.filler[Symbol.dispose]();
  expect(empty.passed).toEqual([]);
  expect(await countFree(empty.free)).toBe(slotCount);
});

test("with all slots in use, a stream waits for one, until it is dropped", async () => {
  const { free, filler, passed, drop } = filling();
  await filler.add(new Uint8Array(slotCount * slotBytes));
  expect(passed).toHaveLength(slotCount);
  const waiting = filler.room();
  free.put([7]);
  expect((await waiting).byteOffset).toBe(7 * slotBytes);
  await filler.add(new Uint8Array(slotBytes));
  const inVain = filler.room().catch((error: unknown) => error);
  drop();
  expect(await inVain).toMatchObject({ kind: "over" });
});
