// Room: test. Owns the reading of docs/monitoring/grafana.json, in the shape that Grafana imports.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const source = z.strictObject({ type: z.literal("prometheus"), uid: z.string() });
const place = z.strictObject({
  h: z.number().int().min(1),
  w: z.number().int().min(1).max(24),
  x: z.number().int().min(0).max(23),
  y: z.number().int().min(0),
});
const head = { id: z.number().int().min(1), title: z.string().min(1), gridPos: place };

const target = z.strictObject({
  refId: z.string().regex(/^[A-Z]$/),
  datasource: source,
  expr: z.string().min(1),
  legendFormat: z.string().min(1),
  range: z.boolean(),
  instant: z.boolean().optional(),
});

const panel = z.strictObject({
  ...head,
  type: z.enum(["timeseries", "stat", "gauge"]),
  description: z.string().min(1),
  datasource: source,
  fieldConfig: z.strictObject({ defaults: z.looseObject({ unit: z.string() }), overrides: z.array(z.unknown()) }),
  options: z.looseObject({}),
  targets: z.array(target).min(1),
});
const row = z.strictObject({
  ...head,
  type: z.literal("row"),
  collapsed: z.literal(false),
  panels: z.array(z.never()),
});

const variable = z.looseObject({
  name: z.string(),
  label: z.string(),
  type: z.enum(["datasource", "query"]),
  query: z.union([z.string(), z.strictObject({ query: z.string(), refId: z.string() })]),
  datasource: source.optional(),
});

const shape = z.strictObject({
  uid: z.string(),
  title: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  schemaVersion: z.number().int().min(36),
  version: z.number().int(),
  editable: z.boolean(),
  graphTooltip: z.number().int(),
  refresh: z.string(),
  time: z.strictObject({ from: z.string(), to: z.string() }),
  timezone: z.string(),
  annotations: z.strictObject({ list: z.array(z.looseObject({ datasource: source, expr: z.string() })) }),
  templating: z.strictObject({ list: z.array(variable) }),
  panels: z.array(z.discriminatedUnion("type", [panel, row])),
});

export type Dashboard = z.output<typeof shape>;
export type Panel = z.output<typeof panel>;

export const dashboard: Dashboard = shape.parse(
  JSON.parse(readFileSync(join(import.meta.dir, "../../docs/monitoring/grafana.json"), "utf8")),
);

export const panelsOf = ({ panels }: Dashboard): Panel[] => panels.filter((each) => each.type !== "row");

export const expressionsOf = ({ targets }: Panel): string[] => targets.map(({ expr }) => expr);
