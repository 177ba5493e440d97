// Room: test. Owns the reports of a job: how many are sent, and when the last one goes.
import { expect, test } from "bun:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { TimedProgress } from "../../../src/jobs/contract.ts";
import type { QueuedJob } from "../../../src/jobs/queues.ts";
import { Reports } from "../../../src/jobs/worker/job-context.ts";

const progress = (layers: number): TimedProgress => ({ layers: Array.from({ length: layers }) as never });

test("of reports in quick succession the first goes at once, and the last when no more follow, before the end", async () => {
  const sent: number[] = [];
  const updateProgress = async ({ layers }: TimedProgress) => void sent.push(layers.length);
  const reports = new Reports({ updateProgress } as unknown as QueuedJob);
  for (const layers of [1, 2, 3]) reports.progress(progress(layers));
  await nextTurn();
  expect(sent).toEqual([1]);
  reports.hurry();
  await nextTurn();
  expect(sent).toEqual([1, 3]);
  await reports.flush();
  expect(sent).toEqual([1, 3]);
});

test("the end of a job waits for its log lines, and not for ever", async () => {
  const logged = Promise.withResolvers<number>();
  const reports = new Reports({ log: () => logged.promise } as unknown as QueuedJob);
  await reports.flush();
  reports.log("a line");
  let isFlushed = false;
  const flushed = reports.flush().then(() => {
    isFlushed = true;
  });
  await Bun.sleep(20);
  expect(isFlushed).toBe(false);
  // Redis does not answer.
  await flushed;
  logged.resolve(1);
});
