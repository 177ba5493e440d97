// Tests the meaning of filters, with cases for every production of containerd's documented grammar.
import { describe, expect, test } from "bun:test";
import { isSnapmillError } from "../../src/domain/errors.ts";
import { compileFilters } from "../../src/domain/filters.ts";
import { scope, snapshotKey } from "../../src/domain/identifiers.ts";
import type { Labels, Snapshot, SnapshotKind } from "../../src/domain/snapshots.ts";
import { updateLabels } from "../../src/domain/update-mask.ts";

const snapshot = (key: string, kind: SnapshotKind, parent: string | undefined, labels: Labels): Snapshot => ({
  scope: scope("test"),
  key: snapshotKey(key),
  kind,
  parent: parent === undefined ? undefined : snapshotKey(parent),
  labels,
  createdAtMs: 1,
  updatedAtMs: 1,
});

const corpus = [
  snapshot("base", "committed", undefined, { foo: "true" }),
  snapshot("top", "committed", "base", { foo: "present", "more complex label": "yes" }),
  snapshot("work/1", "active", "top", { 'with \\ and "': "quoted", "dotted.name.x": "v" }),
  snapshot("look", "view", "top", {}),
  snapshot("sha256:abc=def", "committed", undefined, {
    "containerd.io/gc.root": "2026",
    "a-b_c": "omg_asdf.asdf-qwer",
  }),
  snapshot("牛", "active", undefined, { moo: "a,b" }),
];

const matching = (...filters: string[]) => {
  const { matches } = compileFilters(filters);
  return corpus.filter(matches).map(({ key }) => key as string);
};

const everything = corpus.map(({ key }) => key as string);

describe("a filter", () => {
  test.each<[string, string[]]>([
    ["", everything],
    ["name", everything],
    ["name==base", ["base"]],
    ["name!=base", everything.filter((key) => key !== "base")],
    ["name==sha256:abc=def", ["sha256:abc=def"]],
    ['name=="work/1"', ["work/1"]],
    ["name==work/1", ["work/1"]],
    ["name~=^(base|top)$", ["base", "top"]],
    ["name~=/^[a-z]{3,4}$/", ["base", "top", "look"]],
    ["name~=|work/\\\\d|", ["work/1"]],
    ["name~=/work\\/1/", ["work/1"]],
    ["name~=牛", ["牛"]],
    ['name=="\\u725b"', ["牛"]],
    ['name=="\\xe7\\x89\\x9b"', ["牛"]],
    ['name=="\\142ase"', ["base"]],
    ["name~=(?i)BASE", ["base"]],
    ["name~=^\\Qwork/\\E(?U)\\d+$", ["work/1"]],
    ["name~=^[[:alpha:]]+$", ["base", "top", "look"]],
    ["kind==committed", ["base", "top", "sha256:abc=def"]],
    ["kind!=committed", ["work/1", "look", "牛"]],
    ["kind==sideways", []],
    ["parent==top", ["work/1", "look"]],
    ['parent==""', ["base", "sha256:abc=def", "牛"]],
    ["parent", everything],
    ["labels.foo", ["base", "top"]],
    ["labels.foo==true", ["base"]],
    ["labels.foo!=true", everything.filter((key) => key !== "base")],
    ["labels.foo~=^pres", ["top"]],
    ["labels.nothing~=^$", everything],
    ['labels."more complex label"==yes', ["top"]],
    ['labels."with \\\\ and \\""==quoted', ["work/1"]],
    ['labels."dotted.name".x', ["work/1"]],
    ["labels.dotted.name.x==v", ["work/1"]],
    ['labels."containerd.io/gc.root"', ["sha256:abc=def"]],
    ["labels.a-b_c==omg_asdf.asdf-qwer", ["sha256:abc=def"]],
    ['labels.moo=="a,b"', ["牛"]],
    ["labels.toString", []],
    ["colour", []],
    ["colour!=red", everything],
    ["kind==committed,labels.foo", ["base", "top"]],
    ["kind==committed,parent==base,labels.foo==present", ["top"]],
    ["kind==active,labels.foo", []],
    [" name == base , kind == committed ", ["base"]],
  ])("%j lets through what it should", (filter, expected) => {
    expect(matching(filter)).toEqual(expected);
  });

  test("several filters let through what any of them does", () => {
    expect(matching("name==base", "parent==top")).toEqual(["base", "work/1", "look"]);
    expect(matching()).toEqual(everything);
  });

  test.each<[string, number, string]>([
    ["name==foo,", 11, "expected a field"],
    ["labels.", 8, "expected a field"],
    ['labels.?"x"==y', 8, "expected a field"],
    ["labels.ns/key==value", 10, "expected an operator"],
    ["labels.|foo|==x", 8, "expected a field"],
    ["name=base", 5, "expected an operator"],
    ["name===base", 5, "expected an operator"],
    ["image~=,id", 8, "expected a value"],
    ["name==", 7, "expected a value"],
    ["name==.x", 7, "expected a value"],
    ["labels.key==/value", 13, "must stand in double quotes"],
    ["name~=/value", 7, "not terminated"],
    ['labels."a\nb"', 8, "not terminated"],
    ['labels."\\g"', 9, "illegal escape"],
    ['labels."\\xaz"', 9, "illegal escape"],
    ['labels."\\400"', 9, "illegal escape"],
    ['labels."\\ud800"', 9, "illegal escape"],
    ["name==a b", 9, 'expected ","'],
  ])("%j is refused at character %d", (filter, character, message) => {
    let thrown: unknown;
    try {
      compileFilters([filter]);
    } catch (error) {
      thrown = error;
    }
    expect(isSnapmillError(thrown, "invalid_argument")).toBe(true);
    expect(String(thrown)).toContain(`at character ${character}:`);
    expect(String(thrown)).toContain(message);
  });

  test.each(["name~=[a", "name~=(?=x)", "name~=(a)\\1", `name~=${"a".repeat(1025)}`, "name~=(x?){1000}(x?){1000}"])(
    "the pattern of %j is refused",
    (filter) => {
      expect(() => compileFilters([filter])).toThrow("regular expression");
    },
  );

  test("is answered however often its repetitions could be divided", () => {
    const slow = snapshot("slow", "active", undefined, { x: "a".repeat(4000) });
    const answer = (pattern: string) => compileFilters([`labels.x~=${pattern}`]).matches(slow);
    expect(answer("^(a+)+$")).toBe(true);
    expect(answer("^(a+)+b")).toBe(false);
    expect(answer("(a+a+)+b|.")).toBe(true);
    expect(answer("a*a*a*a*b|.")).toBe(true);
  });

  test("is one of a bounded number, and of a bounded length in all", () => {
    expect(() => compileFilters(Array.from({ length: 65 }, () => "name"))).toThrow("at most 64 filters");
    expect(() => compileFilters([`name==${"x".repeat(16_384)}`])).toThrow("at most 16384 characters");
    const patterns = (count: number) => Array.from({ length: count }, () => "name~=x").join();
    expect(() => compileFilters([patterns(8), patterns(9)])).toThrow("at most 16 regular expressions in all, these 17");
    expect(compileFilters([patterns(8), patterns(8)]).lookup).toBeUndefined();
    expect(() => compileFilters([`name===${"x".repeat(10_000)}`])).toThrow("(10007 characters)");
  });

  test("names the index that finds its matches", () => {
    const lookupOf = (...filters: string[]) => compileFilters(filters).lookup;
    expect(lookupOf("kind==view")).toEqual({ by: "kind", kind: "view" });
    expect(lookupOf("kind==view,parent==p")).toEqual({ by: "parent", parent: "p" });
    expect(lookupOf('parent==p,labels."a.b"==c')).toEqual({ by: "label", name: "a.b", value: "c" });
    expect(lookupOf("labels.a==b,name==n")).toEqual({ by: "name", name: "n" });
    expect(lookupOf('parent==""')).toBeUndefined();
    expect(lookupOf("labels.a!=b")).toBeUndefined();
    expect(lookupOf("name==a", "name==b")).toBeUndefined();
  });
});

describe("an update mask", () => {
  const current = { a: "1", b: "2" };

  test("of no paths replaces all labels", () => {
    expect(updateLabels(current, { c: "3" }, [])).toEqual({ c: "3" });
  });

  test("of single labels takes those and leaves the others", () => {
    expect(updateLabels(current, { a: "9", c: "3" }, ["labels.a", "labels.b"])).toEqual({ a: "9" });
  });

  test("may name a label with dots and slashes", () => {
    const name = "containerd.io/gc.root";
    expect(updateLabels(current, { [name]: "now" }, [`labels.${name}`])).toEqual({ ...current, [name]: "now" });
  });

  test("treats an empty value as the label's absence", () => {
    expect(updateLabels(current, { a: "" }, ["labels.a"])).toEqual({ b: "2" });
    expect(updateLabels(current, { a: "", c: "3" }, ["labels"])).toEqual({ c: "3" });
  });

  test.each(["parent", "kind", "labels.", "label", ""])("refuses the path %j", (path) => {
    expect(() => updateLabels(current, {}, ["labels.a", path])).toThrow("cannot be updated");
  });

  test("of names that every object has is one like any other", () => {
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    const given = Object.fromEntries(names.map((name) => [name, `${name}'s`]));
    const updated = updateLabels(
      current,
      given,
      names.map((name) => `labels.${name}`),
    );
    expect(Object.entries(updated)).toEqual([...Object.entries(current), ...Object.entries(given)]);
    expect(Object.entries(updateLabels(updated, {}, ["labels.__proto__", "labels.a", "labels.b"]))).toHaveLength(3);
    expect(Object.entries(updateLabels(current, {}, ["labels.toString", "labels.constructor"]))).toHaveLength(2);
  });

  test("of very many labels is refused at once, and does not copy them for each path", () => {
    const many = Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [`label-${index}`, "value"]));
    const paths = Object.keys(many).map((name) => `labels.${name}`);
    expect(() => updateLabels(many, many, paths)).toThrow("at most 1024 labels");
    const long = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`${index}`, "x".repeat(4090)]));
    expect(() => updateLabels({}, long, [])).toThrow("at most 262144 bytes in all");
  });

  test("refuses a label that is too long", () => {
    expect(() => updateLabels(current, { a: "x".repeat(4096) }, ["labels.a"])).toThrow("4097 bytes");
  });
});
