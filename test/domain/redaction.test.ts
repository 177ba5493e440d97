// Tests that credentials are taken out of texts, in every form in which they get there, and that nothing else is.
import { expect, test } from "bun:test";
import { redacted } from "../../src/domain/redaction.ts";

test.each([
  "redis://default:planted@127.0.0.1:6379/0",
  "cannot reach rediss://:planted@host (ECONNREFUSED)",
  "GET https://user:planted@registry.example/v2/",
  "https://planted@registry.example/v2/",
  "Authorization: Bearer planted1",
  "authorization: Basic cGxhbnRlZA==planted",
  "authorization=Bearer%20planted1",
  '{"headers":{"authorization":"Bearer planted1"}}',
  JSON.stringify({ body: JSON.stringify({ token: "planted" }) }),
  JSON.stringify({ body: JSON.stringify({ access_token: "planted", password: "planted" }) }),
  "https://storage.example/blob?X-Amz-Credential=planted&X-Amz-Signature=planted&part=1",
  "https://storage.example/blob?sv=1&sig=planted",
  "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20planted1",
  "registry_token=planted, password=planted",
  "redis://user:pl/planted@host:6379/0",
  "redis://:6379/planted@host:6379/0",
  "https://user:p@planted@registry.example/v2/",
  "docker://user:a/planted@localhost:5000/app@sha256:0123456789abcdef",
  "AWS_SECRET_ACCESS_KEY=planted",
  JSON.stringify({ password: 'a"planted', token: "it's planted" }),
  JSON.stringify({ body: JSON.stringify({ password: 'a"planted', next: 1 }) }),
  "{ password: 1, 'token': 'planted' }",
])("nothing is planted any more in: %s", (text) => {
  expect(redacted(text)).toContain("***");
  expect(redacted(text)).not.toContain("planted");
  expect(redacted(text)).not.toContain("cGxhbnRlZA");
});

test.each([
  "docker://alpine@sha256:0123456789abcdef",
  "docker://localhost:5000/team/app:1.2@sha256:0123456789abcdef",
  "the state directory /var/lib/snapmill/http-token: permission denied",
  "a basic snapshot has no parent",
  "job op-1 of key=build in pool=default",
  "unix:///run/snapmill/redis.sock",
  "http://127.0.0.1:7070/packages/@scope/name",
  "http://[::1]:7070/packages/@scope/name",
  "docker://localhost:5000/team/app:1.2@sha512:0123456789abcdef",
  "oci:///srv/images/app@2:latest",
  "the label containerd.io/gc.sig=on, and signature=none",
  '{"tokenName":"ci","device":"default-snap-3"}',
  '{"level":"warn","msg":"token in /var/lib/snapmill/http-token"}',
])("all of it stays: %s", (text) => {
  expect(redacted(text)).toBe(text);
});

test("a long line without an end to what it begins with takes no time", () => {
  const line = `${"https://".repeat(20_000)}${"password".repeat(20_000)}`;
  expect(redacted(line)).toBe(line);
  const urls = `${"https://a:b".repeat(20_000)}`;
  expect(redacted(urls)).toBe(urls);
});
