// What can be done to a thin-pool: the form to grow it offers sizes, and sends them as the operation takes them.
import { expect, test } from "bun:test";
import { PoolActions } from "../../../src/api/http/pages/pool-actions.tsx";
import type { View } from "../../../src/api/http/pages/view.ts";
import { fromQuery, queryKinds } from "../../../src/api/http/v1/given.ts";
import { api, type Output } from "../../../src/service/api.ts";
import { formWith, htmlOf, textOf } from "./page-visitor.ts";

const gibibyte = 2 ** 30;
const viewOf = (role: string) =>
  ({
    pool: "fast",
    viewer: { role },
    seal: () => "seal",
    here: () => "/pools/fast",
    poolPath: (rest: string) => `/pools/fast/${rest}`,
    command: (words: string) => `snapmill --pool fast ${words}`,
  }) as unknown as View;

const shown = (kind: "loopback" | "devices", role = "operate"): string => {
  const thinPool = {
    data: { usedBytes: 5 * gibibyte, totalBytes: 20 * gibibyte },
    metadata: { usedBytes: 2 ** 20, totalBytes: 64 * 2 ** 20 },
    definition: { storage: { kind } },
  } as unknown as Output<"poolStatus">;
  return htmlOf(PoolActions({ view: viewOf(role), hold: null, thinPool }));
};

test("one in files may grow to sizes that are larger than it, which arrive as numbers", () => {
  const html = shown("loopback");
  const { fields } = formWith(html, "Grow");
  expect(JSON.parse(fields["what"] ?? "")).toMatchObject({
    operation: "growPool",
    pool: "fast",
    fields: ["dataBytes", "metadataBytes"],
    reason: "required",
  });
  const values = [...html.matchAll(/<option value="(\d+)">([^<]*)</g)].map(([, value, text]) => [Number(value), text]);
  expect(values).toEqual([
    [25 * gibibyte, "25.0 GiB"],
    [30 * gibibyte, "30.0 GiB"],
    [40 * gibibyte, "40.0 GiB"],
    [80 * gibibyte, "80.0 GiB"],
    [128 * 2 ** 20, "128 MiB"],
    [256 * 2 ** 20, "256 MiB"],
  ]);
  expect(textOf(html)).toContain("as it is: 20.0 GiB");
  expect(textOf(html)).toContain("snapmill --pool fast pool grow --data-size SIZE --metadata-size SIZE");
  const { input } = api.growPool;
  const sent = new URLSearchParams({ dataBytes: String(25 * gibibyte) });
  const given = fromQuery(sent, "dataBytes", queryKinds(input, ["dataBytes"]).get("dataBytes") ?? "text");
  expect(input.parse(Object.fromEntries(given))).toEqual({ dataBytes: 25 * gibibyte });
});

test("one on devices grows to theirs, without a size", () => {
  const html = shown("devices");
  expect(JSON.parse(formWith(html, "Grow").fields["what"] ?? "")).toMatchObject({ operation: "growPool", fields: [] });
  expect(html).not.toContain("<option");
});

test("a reader is offered nothing", () => {
  expect(shown("loopback", "read")).not.toContain("<form");
});
