import { expect, test } from "bun:test";
import { parseChallenges, preferred } from "../../../src/images/registry/challenge.ts";

const bearer = { realm: "https://auth.example/token?x=1,2", service: "r.example", scope: "repository:a/b:pull,push" };
const header = `Bearer realm="${bearer.realm}",service="${bearer.service}", scope="${bearer.scope}"`;

test("a challenge has its parameters, quoted or not", () => {
  expect(parseChallenges(header)).toEqual([{ scheme: "bearer", parameters: bearer }]);
  expect(parseChallenges('basic REALM = "a \\"b\\" c", charset=UTF-8')).toEqual([
    { scheme: "basic", parameters: { realm: 'a "b" c', charset: "UTF-8" } },
  ]);
});

test("several challenges in one header are told apart", () => {
  const both = parseChallenges(`Basic realm="x", Negotiate, ${header}`);
  expect(both.map(({ scheme }) => scheme)).toEqual(["basic", "negotiate", "bearer"]);
  expect(preferred(both)?.scheme).toBe("bearer");
  expect(preferred(parseChallenges('Bearer error="x", Basic realm="y"'))?.scheme).toBe("basic");
});

test.each([null, "", '"', "=,=", `Bearer realm="${"x".repeat(20_000)}"`])("%p has none", (text) => {
  expect(preferred(parseChallenges(text))).toBeUndefined();
});
