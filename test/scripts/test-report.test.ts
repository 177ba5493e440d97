import { expect, test } from "bun:test";
import { nothing, parseReport, sum, summaryLine } from "../../scripts/test-report.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="6" assertions="2" failures="1" skipped="2" time="0.09">
  <testsuite name="a.test.ts" file="a.test.ts">
    <testsuite name="grp &lt;x&gt;" file="a.test.ts" line="2">
      <testcase name="a &amp; &quot;b&quot;" classname="grp &lt;x&gt;" time="0.01" file="a.test.ts" line="2" assertions="1" />
      <testcase name="bad" classname="grp &lt;x&gt;" time="0.005" file="a.test.ts" line="2" assertions="1">
        <failure type="AssertionError" message="a &lt;skipped">AssertionError: 1 is not 2</failure>
      </testcase>
      <testcase name="a &amp; b (skipped: umoci is not on PATH)" classname="grp &lt;x&gt;" time="0" line="3">
        <skipped />
      </testcase>
    </testsuite>
    <testcase name="some day" classname="" time="0" file="a.test.ts" line="4"><skipped message="TODO" /></testcase>
    <testcase name="n 1" classname="" time="0.000061" file="a.test.ts" line="4" assertions="0" />
  </testsuite>
</testsuites>`;

test("a report is counted: passed, failed, skipped with the reason in the title", () => {
  expect(parseReport(report)).toEqual({
    passed: 2,
    failed: 1,
    skipped: [
      { title: "grp <x> > a & b", reason: "umoci is not on PATH" },
      { title: "some day", reason: "no reason given" },
    ],
  });
});

test("a report without tests counts nothing", () => {
  expect(parseReport("<testsuites></testsuites>")).toEqual(nothing);
});

test("the last line names what was skipped only when something was", () => {
  expect(summaryLine(nothing)).toBe("0 passed, 0 failed");
  const twice = sum(parseReport(report), parseReport(report));
  expect(summaryLine(twice)).toBe("4 passed, 2 failed, 4 skipped");
});
