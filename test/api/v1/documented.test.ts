// Owns the proof that docs/API.md says what a real snapmill answers: every example is run, in order.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { writeSmallImage } from "../../support/small-image.ts";
import { until } from "../../support/until.ts";
import { answerIn, differences, examplesIn, isDefinition, run } from "./documented.ts";
import { RunningApi } from "./running-api.ts";

setDefaultTimeout(120_000);

const page = await Bun.file(join(import.meta.dir, "../../../docs/API.md")).text();
const examples = examplesIn(page);
const definitions = examples.filter(({ command }) => isDefinition(command)).map(({ command }) => command);
const requests = examples.filter(({ command }) => !isDefinition(command));

let api: RunningApi;
let reference = "";
beforeAll(async () => {
  api = await RunningApi.start();
  ({ reference } = await writeSmallImage(join(api.place.directory, "image")));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

test("a field that is missing, new or of another kind is a difference", () => {
  const said = { a: [{ b: 1 }], c: null };
  expect(differences(said, { a: [{ b: 2 }, {}], c: "x" })).toEqual([]);
  expect(differences(said, { a: [{ b: "1" }], d: 1 })).toEqual([
    "answer.a[0].b is of another kind",
    "answer.c is only on the page",
    "answer.d is only in the answer",
  ]);
});

test("there are examples of every kind of resource", () => {
  expect(requests.length).toBeGreaterThan(20);
  for (const resource of [
    "snapshots",
    "images",
    "batches",
    "queues",
    "drain",
    "resume",
    "removals",
    "status",
    "doctor",
  ]) {
    expect(
      requests.some(({ command }) => command.includes(`/${resource}`)),
      resource,
    ).toBe(true);
  }
});

test.each(requests.map((example) => [example.command, example] as const))("%s", async (_command, example) => {
  const said = answerIn(example.output);
  // What a batch or an unpack has come to may take a while.
  const found = await until(
    "it answers as the page says",
    async () => answerIn(await run({ api, reference }, definitions, example.command)),
    ({ status }) => status === said.status,
  );
  expect(found.status).toBe(said.status);
  expect(differences(said.body, found.body)).toEqual([]);
});
