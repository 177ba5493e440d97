import { expect, test } from "bun:test";
import { nothing, parseReport, slowestTests, sum, summaryLine } from "../../scripts/test-report.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="6" assertions="2" failures="1" skipped="2" time="0.09">
  <testsuite name="a.test.ts" file="a.test.ts">
    <testsuite name="grp &lt;x&gt;" file="a.test.ts" line="2">
      <testcase name="a &amp; &quot;b&quot;" classname="grp &lt;x&gt;" time="0.01" file="a.test.ts" line="2" assertions="1" />
      <testcase name="bad" classname="grp &lt;x&gt;" time="0.005" file="a.test.ts" line="2" assertions="1">
        <failure type="AssertionError" message="a &lt;skipped">AssertionError: 1 is not 2</failure>
      </testcase>
      <testcase name="a &amp; b (skipped: umoci is not on PATH)" classname="grp &lt;x&gt;" time="0" file="a.test.ts" line="3">
        <skipped />
      </testcase>
    </testsuite>
    <testcase name="some day" classname="" time="0" file="a.test.ts" line="4"><skipped message="TODO" /></testcase>
    <testcase name="n 1" classname="" time="0.000061" file="a.test.ts" line="4" assertions="0" />
  </testsuite>
</testsuites>`;

const other = `<testcase name="alone" classname="" time="2" file="test/b.test.ts" line="1" assertions="1" />`;

test("a report is counted by file: passed, failed, skipped with the reason in the title, and the time", () => {
  const files = parseReport(report.replace("</testsuites>", `${other}</testsuites>`));
  expect([...files.keys()]).toEqual(["a.test.ts", "test/b.test.ts"]);
  expect(files.get("a.test.ts")?.outcome).toEqual({
    passed: 2,
    failed: 1,
    skipped: [
      { title: "grp <x> > a & b", reason: "umoci is not on PATH" },
      { title: "some day", reason: "no reason given" },
    ],
  });
  expect(files.get("a.test.ts")?.seconds).toBeCloseTo(0.015);
  expect(files.get("test/b.test.ts")).toEqual({
    outcome: { ...nothing, passed: 1 },
    seconds: 2,
    tests: [{ file: "test/b.test.ts", title: "alone", seconds: 2 }],
  });
});

test("the slowest tests come first, as many as are asked for", () => {
  const files = parseReport(report.replace("</testsuites>", `${other}</testsuites>`));
  const tests = [...files.values()].flatMap((file) => file.tests);
  expect(slowestTests(tests, 2)).toEqual(["   2.0 s  test/b.test.ts: alone", '   0.0 s  a.test.ts: grp <x> > a & "b"']);
});

test("a report without tests names no file", () => {
  expect(parseReport("<testsuites></testsuites>").size).toBe(0);
});

test("the last line names what was skipped only when something was", () => {
  expect(summaryLine(nothing)).toBe("0 passed, 0 failed");
  const once = parseReport(report).get("a.test.ts")?.outcome ?? nothing;
  expect(summaryLine(sum(once, once))).toBe("4 passed, 2 failed, 4 skipped");
});
