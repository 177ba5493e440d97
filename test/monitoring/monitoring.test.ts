// Room: test. Owns docs/monitoring: rules and their cases, the example of a configuration, and what they and the dashboard
// name; dashboard.test.ts runs the dashboard's queries.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { metrics } from "../../src/service/metrics-reader.ts";
import { testWith } from "../support/tools.ts";
import { dashboard, expressionsOf, panelsOf } from "./dashboard-json.ts";

const root = join(import.meta.dir, "../..");
const directory = join(root, "docs/monitoring");

const rule = z.object({
  alert: z.string(),
  expr: z.string(),
  labels: z.object({ severity: z.enum(["critical", "warning"]) }),
  annotations: z.strictObject({ summary: z.string(), page: z.string() }),
});
const rules = z
  .object({ groups: z.array(z.object({ rules: z.array(rule) })) })
  .parse(yaml("alerts.yml"))
  .groups.flatMap((group) => group.rules);

const cases = z
  .object({
    tests: z.array(
      z.object({
        name: z.string(),
        alert_rule_test: z.array(z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()) })),
      }),
    ),
  })
  .parse(yaml("alerts.test.yml"))
  .tests.flatMap(({ alert_rule_test }) => alert_rule_test);

function yaml(name: string): unknown {
  return Bun.YAML.parse(readFileSync(join(directory, name), "utf8"));
}

async function promtool(...args: readonly string[]): Promise<string> {
  const child = Bun.spawn(["promtool", ...args], { cwd: directory, stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return `${said.join("")}status ${await child.exited}`;
}

testWith(["promtool"], "promtool finds nothing wrong with the rules and the configuration", async () => {
  expect(await promtool("check", "rules", "alerts.yml")).toContain(`${rules.length} rules found`);
  expect(await promtool("check", "config", "prometheus.yml")).toEndWith("status 0");
});

testWith(["promtool"], "the rules fire, and do not fire, as their cases say", async () => {
  expect(await promtool("test", "rules", "alerts.test.yml")).toEndWith("SUCCESS\n\nstatus 0");
});

test.each(rules.map(({ alert }) => alert))("%s has a case in which it fires, and one in which it does not", (alert) => {
  const ofIt = cases.filter(({ alertname }) => alertname === alert);
  expect(ofIt.some(({ exp_alerts }) => exp_alerts.length > 0)).toBe(true);
  expect(ofIt.some(({ exp_alerts }) => exp_alerts.length === 0)).toBe(true);
});

test.each(rules.map(({ alert, annotations }) => [alert, annotations.page] as const))(
  "%s names a page of the documentation that is there: %s",
  (_alert, page) => {
    const [path = "", anchor] = page.split("#");
    expect(existsSync(join(root, path))).toBe(true);
    const headings = readFileSync(join(root, path), "utf8").matchAll(/^#+ (.+)$/gm);
    const anchors = [...headings].map(([, text = ""]) =>
      text
        .toLowerCase()
        .replaceAll(/[^\w -]/g, "")
        .replaceAll(" ", "-"),
    );
    expect(anchors).toContain(anchor ?? "");
  },
);

test("rules and dashboard name metrics that snapmill has", () => {
  const declared = metrics.flatMap(({ name, kind }) =>
    kind === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
  const expressions = [...rules.map(({ expr }) => expr), ...panelsOf(dashboard).flatMap(expressionsOf)];
  for (const expression of expressions) {
    const named = expression.match(/\b(?:snapmill|process)_\w+/g) ?? [];
    for (const name of named) expect(declared, expression).toContain(name);
    expect(named.length > 0 || expression.startsWith("up{"), expression).toBe(true);
  }
});

test("the dashboard lets its reader choose the data source, the host and the pool", () => {
  expect(dashboard.templating.list.map(({ name }) => name)).toEqual(["datasource", "instance", "pool"]);
  const panels = panelsOf(dashboard);
  expect(panels.length).toBeGreaterThan(25);
  for (const { title, datasource, targets } of panels) {
    for (const source of [datasource, ...targets.map((target) => target.datasource)]) {
      expect(source.uid, title).toMatch(/^\$\{datasource\}$/);
    }
  }
});

test("the dashboard's panels have titles and places of their own", () => {
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  for (const [index, { gridPos: one, title }] of panels.entries()) {
    expect(one.x + one.w, title).toBeLessThanOrEqual(24);
    for (const { gridPos: other, title: otherTitle } of panels.slice(index + 1)) {
      const apart =
        one.x + one.w <= other.x ||
        other.x + other.w <= one.x ||
        one.y + one.h <= other.y ||
        other.y + other.h <= one.y;
      expect(apart, `${title} and ${otherTitle}`).toBe(true);
    }
  }
});
