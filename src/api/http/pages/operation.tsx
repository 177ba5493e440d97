// Room: api. Owns the page of one operation: its way from the caller to the device, why it failed, and what can be done.
/** @jsxImportSource hono/jsx */
import type { OperationAccount } from "../../../service/operation-account.ts";
import { Name } from "./names.tsx";
import { OperationActions } from "./operation-actions.tsx";
import { Asked, Errors, Logs, Written } from "./operation-parts.tsx";
import type { Page } from "./page.ts";
import { HolderFacts, HolderName, nextTry, Place } from "./removal-table.tsx";
import { Scrolling } from "./scrolling.tsx";
import { Sign, type SignKind } from "./sign.tsx";
import { clockTime, roughDuration, sentence } from "./text.ts";
import type { View } from "./view.ts";

/** Who asked is in the audit log, which not everybody sees: it is read where it may be. */
export const operation: Page = {
  path: "/operations/:operationId",
  title: "Operation",
  about: "One operation: its way from the caller to the device, the errors of its attempts, what was asked, its log",
  place: "link",
  reads: ["explainOperation"],
  show: async (view) => {
    const operationId = view.param("operationId");
    const account = await view.read("explainOperation", { operationId });
    const asked = view.mayRun("listAudit") ? (await view.list("listAudit", { operationId }, { limit: 5 })).items : null;
    return {
      heading: `Operation: ${account.operation}`,
      body: (
        <>
          <Facts view={view} account={account} />
          <OperationActions view={view} account={account} />
          {account.removal === null || account.pool === null ? null : (
            <Held view={view} removal={account.removal} pool={account.pool} />
          )}
          <h2>Time line</h2>
          <TimeLine view={view} account={account} />
          <h2>Errors</h2>
          <Errors failures={account.failures} />
          <h2>What was asked</h2>
          <Asked account={account} asked={asked} />
          {account.state === "done" ? <Written title="Its answer" value={account.result} /> : null}
          <h2>Log</h2>
          <Logs account={account} />
        </>
      ),
    };
  },
};

interface Given {
  readonly view: View;
  readonly account: OperationAccount;
}

const signs: Readonly<Record<OperationAccount["state"], SignKind>> = { running: "busy", done: "good", failed: "bad" };

/** A removal that was given up remains to be done. */
function State({ account: { state, removal } }: Pick<Given, "account">) {
  if (removal === null) return <Sign of={signs[state]}>{state}</Sign>;
  const words = { pending: "pending", failed: "given up", discarded: "discarded" } as const;
  const kinds = { pending: "busy", failed: "bad", discarded: "none" } as const;
  return <Sign of={kinds[removal.state]}>{words[removal.state]}</Sign>;
}

function Facts({ view, account }: Given) {
  const { operationId, pool, startedAtMs, endedAtMs, attempts, traceId, removal, queueTrouble } = account;
  const lasts = roughDuration((endedAtMs ?? view.readAtMs) - startedAtMs);
  return (
    <>
      <dl>
        <dt>Operation ID</dt>
        <dd>
          <bdi class="name">{operationId}</bdi>
        </dd>
        <dt>State</dt>
        <dd>
          <State account={account} />
        </dd>
        <dt>Pool</dt>
        <dd>{pool ?? "none: it is of the host"}</dd>
        <Snapshot account={account} />
        {account.operation !== "unpack" || pool === null ? null : (
          <>
            <dt>Layers</dt>
            <dd>
              <a href={`/pools/${encodeURIComponent(pool)}/unpacks/${operationId}`}>the unpack, stage by stage</a>
            </dd>
          </>
        )}
        <dt>Began</dt>
        <dd>{clockTime(startedAtMs)}</dd>
        <dt>{endedAtMs === null ? "Has lasted" : "Ended"}</dt>
        <dd>{endedAtMs === null ? lasts : `${clockTime(endedAtMs)}, after ${lasts}`}</dd>
        <dt>Attempts</dt>
        <dd>
          {attempts === null ? "not known" : `${attempts.made} of ${attempts.most} at most`}
          {removal === null ? "" : `; next try: ${nextTry(removal, view.readAtMs)}`}
        </dd>
        <dt>Trace ID</dt>
        <dd>{traceId === null ? "none: it is not traced" : <bdi class="name">{traceId}</bdi>}</dd>
      </dl>
      {queueTrouble === null || pool === null ? null : (
        <p>
          <Sign of="warn">Its queue could not be asked: </Sign> {sentence(queueTrouble)}
        </p>
      )}
    </>
  );
}

/** What its job is about, where that is a snapshot. */
function Snapshot({ account: { payload, pool } }: Pick<Given, "account">) {
  const { scope, key } = (typeof payload === "object" && payload !== null ? payload : {}) as Record<string, unknown>;
  if (typeof scope !== "string" || typeof key !== "string" || pool === null) return null;
  const query = new URLSearchParams({ scope, key }).toString();
  return (
    <>
      <dt>Snapshot</dt>
      <dd>
        <a href={`/pools/${encodeURIComponent(pool)}/snapshot?${query}`}>
          <Name text={key} />
        </a>
      </dd>
    </>
  );
}

interface HeldProps {
  readonly view: View;
  readonly removal: NonNullable<OperationAccount["removal"]>;
  readonly pool: string;
}

function Held({ view, removal, pool }: HeldProps) {
  const holders = removal.heldBy?.holders ?? [];
  return (
    <>
      <h2>
        Device <Name text={removal.device} />
      </h2>
      <p>
        Its last snapshot was <Name text={removal.key ?? "never finished"} />.{" "}
        <a href={`/pools/${encodeURIComponent(pool)}/removals`}>All removals of the pool</a>
      </p>
      {holders.length === 0 && removal.heldBy?.isComplete === true ? <p>Nobody holds it now.</p> : null}
      {holders.slice(0, 5).map((holder) => (
        <section key={`${holder.how} ${holder.pid ?? 0} ${holder.mountPoint ?? ""}`}>
          <h3>
            <HolderName held={{ id: "", holder }} />
          </h3>
          {holder.mountPoint === null ? null : (
            <p>
              <Place holder={holder} />
            </p>
          )}
          <HolderFacts view={view} held={{ id: "", holder, count: 1 }} />
        </section>
      ))}
    </>
  );
}

const places: Readonly<Record<OperationAccount["steps"][number]["place"], string>> = {
  up: "in the API",
  records: "in the pool's records",
  queue: "in the queue",
  worker: "in a worker",
  device: "at the device",
};

const TimeLine = ({ view, account: { steps, startedAtMs } }: Given) =>
  steps.length === 0 ? (
    <p>It began at {clockTime(startedAtMs)}; nothing else is known of its way.</p>
  ) : (
    <Scrolling label="Time line">
      <table>
        <caption class="visually-hidden">From its caller to the device</caption>
        <thead>
          <tr>
            <th scope="col" class="number">
              After
            </th>
            <th scope="col">What, and where</th>
            <th scope="col">When</th>
          </tr>
        </thead>
        <tbody>
          {steps.map(({ atMs, place, what, isFailure }) => (
            <tr key={`${atMs} ${what}`}>
              <td class="number">{since(atMs - (steps[0]?.atMs ?? atMs))}</td>
              <th scope="row">
                {isFailure ? <Sign of="bad" /> : null} <bdi>{sentence(what)}</bdi>
                {atMs > view.readAtMs ? " (to come)" : ""}
                <div class="faint">{places[place]}</div>
              </th>
              <td>{clockTime(atMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrolling>
  );

const since = (ms: number): string => (ms < 1_000 ? `${ms} ms` : roughDuration(ms));
