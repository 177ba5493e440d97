// Room: test. Owns which spellings of a secret are taken out of what a registry says.
import { expect, test } from "bun:test";
import { Secrets } from "../../../src/images/registry/failures.ts";

function redacting(add: (secrets: Secrets) => void): (text: string) => string {
  const secrets = new Secrets();
  add(secrets);
  return (text) => secrets.redact(text);
}

test("a secret is taken out as it is, and as it stands in a form", () => {
  const redact = redacting((secrets) => secrets.add("refresh +token/"));
  const form = new URLSearchParams({ refresh_token: "refresh +token/" }).toString();
  expect(redact(`you sent ${form}, refresh +token/`)).toBe("you sent refresh_token=[redacted], [redacted]");
});

test.each(["authorization", "Authorization", "Proxy-Authorization"])(
  "of a header %s of a hosts.toml, name and password are taken out as well as the whole",
  (header) => {
    const credentials = btoa("me:planted-password");
    const redact = redacting((secrets) => secrets.addHeaders({ [header]: `Basic ${credentials}` }));
    expect(redact(`Basic ${credentials}`)).toBe("[redacted]");
    expect(redact(`got ${credentials}; ${encodeURIComponent(credentials)}`)).toBe("got [redacted]; [redacted]");
    expect(redact("me:planted-password and planted-password")).toBe("[redacted] and [redacted]");
    expect(redact("some member")).toBe("some member");
  },
);

test("a token in place of a name is taken out, and one behind another scheme", () => {
  const token = "token-of-twenty-chars";
  expect(redacting((secrets) => secrets.addAuthorization(`basic ${btoa(`${token}:x-oauth`)}`))(token)).toBe(
    "[redacted]",
  );
  expect(redacting((secrets) => secrets.addHeaders({ authorization: `Bearer ${token}` }))(token)).toBe("[redacted]");
  expect(redacting((secrets) => secrets.addHeaders({ "x-key": token }))(`key ${token}`)).toBe("key [redacted]");
});
