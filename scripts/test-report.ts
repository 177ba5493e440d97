// Room: scripts. Owns the results of the tests: read from bun's JUnit report, summed up in one line at the end.

export interface Skipped {
  readonly title: string;
  /** From the title, which ends in `(skipped: REASON)`. */
  readonly reason: string;
}

/** One test that was run: its title, its file's path, and how long it took. */
export interface TimedTest {
  readonly file: string;
  readonly title: string;
  readonly seconds: number;
}

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly Skipped[];
}

/** The report of one test file. */
export interface FileReport {
  readonly outcome: Outcome;
  /** The time of its tests, without loading the file. */
  readonly seconds: number;
  readonly tests: readonly TimedTest[];
}

export const nothing: Outcome = { passed: 0, failed: 0, skipped: [] };

export const sum = (one: Outcome, other: Outcome): Outcome => ({
  passed: one.passed + other.passed,
  failed: one.failed + other.failed,
  skipped: [...one.skipped, ...other.skipped],
});

/** Bun's JUnit report by test file: its `testcase` elements, whose body (if any) says what went wrong. */
export function parseReport(xml: string): ReadonlyMap<string, FileReport> {
  const files = new Map<string, FileReport>();
  for (const [, attributes = "", , body = ""] of xml.matchAll(/<testcase ([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const file = attributeIn(attributes, "file");
    const { outcome, seconds, tests } = files.get(file) ?? { outcome: nothing, seconds: 0, tests: [] };
    const test = { file, title: titleIn(attributes), seconds: Number(attributeIn(attributes, "time")) };
    files.set(file, {
      outcome: sum(outcome, outcomeOf(attributes, body)),
      seconds: seconds + test.seconds,
      tests: [...tests, test],
    });
  }
  return files;
}

function outcomeOf(attributes: string, body: string): Outcome {
  if (body.includes("<skipped")) return { ...nothing, skipped: [skippedTest(titleIn(attributes))] };
  if (/<(failure|error)\b/.test(body)) return { ...nothing, failed: 1 };
  return { ...nothing, passed: 1 };
}

function skippedTest(title: string): Skipped {
  const [, named = title, reason = "no reason given"] = /^(.*?)\s*\(skipped: (.*)\)$/s.exec(title) ?? [];
  return { title: named, reason };
}

const attributeIn = (attributes: string, name: string): string =>
  unescapeXml(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");

function titleIn(attributes: string): string {
  const [group, name] = [attributeIn(attributes, "classname"), attributeIn(attributes, "name")];
  return group === "" ? name : `${group} > ${name}`;
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&", "#10": "\n" };

const unescapeXml = (text: string): string =>
  text.replaceAll(/&(#?\w+);/g, (whole, entity: string) => entities[entity] ?? whole);

/** The slowest tests, one line each, slowest first. */
export function slowestTests(tests: readonly TimedTest[], count: number): string[] {
  const slowest = tests.toSorted((one, other) => other.seconds - one.seconds).slice(0, count);
  return slowest.map(({ file, title, seconds }) => `${seconds.toFixed(1).padStart(6)} s  ${file}: ${title}`);
}

/** The last line of a run: `12 passed, 0 failed, 1 skipped`. */
export function summaryLine({ passed, failed, skipped }: Outcome): string {
  const line = `${passed} passed, ${failed} failed`;
  return skipped.length === 0 ? line : `${line}, ${skipped.length} skipped`;
}
