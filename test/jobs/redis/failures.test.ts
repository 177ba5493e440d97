// Room: test. Owns the table of Redis' failures: what each is to a caller, and to a worker that asks for jobs.
import { expect, test } from "bun:test";
import {
  asRedisFailure,
  describeTrouble,
  isConnectionLost,
  isFinal,
  isReply,
  RedisAway,
} from "../../../src/jobs/redis/failures.ts";

const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), {
  code: "ECONNREFUSED",
  syscall: "connect",
});

/** Each failure as Redis, ioredis or the kernel says it: what it is to a caller, and what else is asked of it. */
const cases: readonly (readonly [error: Error, code: string, marks: string])[] = [
  [new Error("READONLY You can't write against a read only replica."), "unavailable", "reply"],
  [new Error("LOADING Redis is loading the dataset in memory"), "unavailable", "reply"],
  [new Error("NOAUTH Authentication required."), "unavailable", "final reply"],
  [new Error("NOPERM this user has no permissions to run the 'eval' command"), "unavailable", "final reply"],
  [new Error("OOM command not allowed when used memory > 'maxmemory'."), "resource_exhausted", "reply"],
  [new Error("EXECABORT Transaction discarded because of: OOM command not allowed"), "resource_exhausted", "reply"],
  [
    new Error("ERR Error running script (call to f_1): @user_script:1: -OOM not allowed"),
    "resource_exhausted",
    "reply",
  ],
  [new Error("WRONGTYPE Operation against a key holding the wrong kind of value"), "failed_precondition", "reply"],
  [new Error("ERR unknown command 'XADD'"), "internal", "reply"],
  [refused, "unavailable", "lost"],
  [new Error("Connection is closed."), "unavailable", "lost"],
  [new Error("Command timed out"), "unavailable", ""],
  [new Error("Stream isn't writeable and enableOfflineQueue options is false"), "unavailable", ""],
  [new Error("Reached the max retries per request limit (which is 3)."), "unavailable", ""],
  [new Error('Protocol error, got "H" as reply type byte'), "unavailable", "final"],
  [new Error("Missing lock for job op-OOM-1"), "internal", ""],
];

test.each(cases)("%p", (error, code, marks) => {
  const failure = asRedisFailure(error);
  expect(failure.code).toBe(code as never);
  expect(failure instanceof RedisAway).toBe(code === "unavailable");
  const found = [isFinal(error.message) && "final", isReply(error) && "reply", isConnectionLost(error) && "lost"];
  expect(found.filter(Boolean).join(" ")).toBe(marks);
});

test("a failure that is not in the table is still reported with a way out, and without the script's number", () => {
  expect(describeTrouble("redis://host", "ERR something new, script: 1a2b3c, on @user_script:7.")).toBe(
    "Redis at redis://host cannot be used (ERR something new): look into its log, or set REDIS_URL",
  );
});
