// Room: api. Owns what the page of an operation shows as it was written: errors, payload, answer, and lines of the log.
/** @jsxImportSource hono/jsx */
import type { AuditedChange } from "../../../service/audit.ts";
import type { OperationAccount } from "../../../service/operation-account.ts";
import { Command } from "./action.tsx";
import { Name, shellWord } from "./names.tsx";
import { Scrolling } from "./scrolling.tsx";
import { clockTime, sentence } from "./text.ts";

export const Errors = ({ failures }: Pick<OperationAccount, "failures">) =>
  failures.length === 0 ? (
    <p>No attempt has failed, as far as is known.</p>
  ) : (
    <ol class="errors">
      {failures.map(({ number, atMs, message, stack }, index) => (
        <li key={`${index} ${number ?? ""}`}>
          <p>
            <span class="faint">
              {number === null ? "An attempt" : `Attempt ${number}`}
              {atMs === null ? "" : `, ${clockTime(atMs)}`}:
            </span>{" "}
            <bdi>{sentence(message)}</bdi>
          </p>
          {stack === null ? null : (
            <details>
              <summary>
                Where it was thrown<span class="visually-hidden"> (error {index + 1})</span>
              </summary>
              <pre>{stack}</pre>
            </details>
          )}
        </li>
      ))}
    </ol>
  );

const mostCharacters = 4_000;

export function Written({ title, value }: { readonly title: string; readonly value: unknown }) {
  const text = JSON.stringify(value, null, 2) ?? "null";
  return (
    <>
      <h3>{title}</h3>
      <pre>{text.length <= mostCharacters ? text : `${text.slice(0, mostCharacters)}…`}</pre>
    </>
  );
}

interface AskedProps {
  readonly account: OperationAccount;
  /** Null: not for this viewer. */
  readonly asked: readonly AuditedChange[] | null;
}

export const Asked = ({ account: { payload }, asked }: AskedProps) => (
  <>
    {asked === null ? <p>Who asked is in the audit log, which the role operate sees.</p> : null}
    {asked?.length === 0 ? (
      <p>It was not asked for over HTTP: a command, containerd or snapmill itself began it.</p>
    ) : null}
    {asked?.map((change) => (
      <By key={change.number} change={change} />
    ))}
    {payload === null ? (
      <p>Its queue does not have its payload, or no longer.</p>
    ) : (
      <Written title="Payload of its job, without secrets" value={payload} />
    )}
  </>
);

const By = ({
  change: { atMs, token, role, method, path, reason, request, code },
}: {
  readonly change: AuditedChange;
}) => (
  <>
    <p>
      By token <Name text={token} /> of role {role}, {clockTime(atMs)}: {method} <Name text={path} />
      {reason === null ? "; no reason was given" : "; reason: "}
      {reason === null ? null : <Name text={reason} />}. Result: {code}.
    </p>
    {request === null ? null : <Written title="Request, without secrets" value={request} />}
  </>
);

/** Before it, so that the clock of another host does no harm. */
const earlierMs = 60_000;

export function Logs({ account: { operationId, startedAtMs, log } }: Pick<AskedProps, "account">) {
  const more = log.count - log.lines.length;
  const from = Math.floor((startedAtMs - earlierMs) / 1000);
  return (
    <>
      {log.lines.length === 0 ? (
        <p>Its job has written no line of its own.</p>
      ) : (
        <Scrolling label="Lines of its job's log">
          <pre>
            {more > 0 ? `(${more} earlier lines)\n` : ""}
            {log.lines.join("\n")}
          </pre>
        </Scrolling>
      )}
      <p>Each line that a process of snapmill logs about it has its ID:</p>
      <Command text={`journalctl -u snapmill -o cat --since @${from} | grep -F ${shellWord(operationId)}`} />
    </>
  );
}
