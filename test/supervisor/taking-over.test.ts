// Tests that new settings are taken over by all or none. Which pool's workers fail is up to the test: a fake stands for them,
// beside the real ones of reload-back.test.ts.
import { expect, test } from "bun:test";
import { type Config, readConfig } from "../../src/config.ts";
import { NotTakenOver, type Step, takeOverAll } from "../../src/supervisor/taking-over.ts";

const configOf = (pool: string, minFree: string): Config =>
  readConfig({}, { SNAPMILL_CONFIG: "", SNAPMILL_POOL: pool, SNAPMILL_MIN_FREE: minFree });

const steps = ["one", "two", "three"].map(
  (pool): Step => ({
    before: configOf(pool, "10%"),
    next: configOf(pool, "7%"),
    readers: new Set(["up", "pool"] as const),
  }),
);

/** What is done, in order: pool and share. `failing`: what fails, "two 0.07". */
function takers(failing: readonly string[], endsAt?: string) {
  const done: string[] = [];
  const act = (who: string, share: number) => {
    const what = `${who} ${share}`;
    done.push(what);
    if (failing.includes(what)) throw new Error(`${what} does not work`);
  };
  return {
    done,
    isOver: () => done.some((what) => what === endsAt),
    onOwn: ({ minFreeShare }: Config) => act("up", minFreeShare),
    services: {
      reload: async ({ pool, minFreeShare }: Config) => {
        await Promise.resolve();
        act(pool, minFreeShare);
      },
    },
  };
}

const outcome = (of: ReturnType<typeof takers>): Promise<unknown> => takeOverAll(steps, of).then(() => "taken", String);

test("up takes over first, then one pool after the other", async () => {
  const all = takers([]);
  expect(await outcome(all)).toBe("taken");
  expect(all.done).toEqual(["up 0.07", "one 0.07", "two 0.07", "three 0.07"]);
});

test("where a pool fails, up and the pools before it go back, the last first", async () => {
  const third = takers(["three 0.07"]);
  expect(await outcome(third)).toContain("the workers of pool three cannot run with it: three 0.07 does not work");
  expect(third.done).toEqual(["up 0.07", "one 0.07", "two 0.07", "three 0.07", "up 0.1", "two 0.1", "one 0.1"]);
});

test("where up fails, no worker is touched", async () => {
  const own = takers(["up 0.07"]);
  expect(await outcome(own)).toContain("up cannot run with it: up 0.07 does not work");
  expect(own.done).toEqual(["up 0.07"]);
});

test("a pool that cannot go back is named, and the others go back all the same", async () => {
  const stuck = takers(["three 0.07", "two 0.1"]);
  const error = await takeOverAll(steps, stuck).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NotTakenOver);
  expect([...(error as NotTakenOver).ahead]).toEqual([
    ["two", "the workers of pool two keep the new settings: two 0.1 does not work"],
  ] as never);
  expect(stuck.done.at(-1)).toBe("one 0.1");
});

test("when everything is being stopped, nothing more is begun, forwards or back", async () => {
  const stopped = takers([], "one 0.07");
  expect(await outcome(stopped)).toBe("taken");
  expect(stopped.done).toEqual(["up 0.07", "one 0.07"]);
  const back = takers(["three 0.07"], "three 0.07");
  await outcome(back);
  expect(back.done.at(-1)).toBe("three 0.07");
});
