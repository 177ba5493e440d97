// Room: domain. Owns the metrics that snapmill's processes observe at work: each is declared once, with all its labels.
import { errorCodes } from "./errors.ts";
import { findingKinds } from "./findings.ts";

/**
 * The values of a label: a closed list, each of which is exported from the start; or names from elsewhere, of which a
 * process tells the first `most` apart, and calls the others "other".
 */
type LabelValues = readonly string[] | { readonly most: number };

interface Declaration {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
  /** Of a histogram: the upper bounds of its buckets, in seconds. */
  readonly buckets?: readonly number[];
}

const outcomes = ["ok", ...errorCodes] as const;

/** From a device that is fast to one that is about to time out. */
const operationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const waitBuckets = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600];
const unpackBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const roundTripBuckets = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** No label holds a key, a digest, a device or an image. */
export const observedMetrics = {
  snapmill_operation_duration_seconds: {
    kind: "histogram",
    help: "Duration of operations, as jobs, from the start of their execution to their answer",
    labels: { operation: { most: 100 }, code: outcomes },
    buckets: operationBuckets,
  },
  snapmill_job_wait_seconds: {
    kind: "histogram",
    help: "Time from a job's submission until a worker takes it; retries are not counted",
    labels: { queue: ["pool", "unpack"], job: { most: 100 } },
    buckets: waitBuckets,
  },
  snapmill_removal_attempts_total: {
    kind: "counter",
    help: "Attempts to delete the devices of removed snapshots",
    labels: { result: ["removed", "retried", "given_up"] },
  },
  snapmill_unpack_compressed_bytes_total: {
    kind: "counter",
    help: "Bytes of the layers that were unpacked, as they are stored in their images",
    labels: {},
  },
  snapmill_unpack_written_bytes_total: {
    kind: "counter",
    help: "Bytes of the layers that were unpacked, uncompressed",
    labels: {},
  },
  snapmill_unpack_duration_seconds: {
    kind: "histogram",
    help: "Duration of attempts to unpack an image",
    labels: { result: ["unpacked", "present", "retried", "failed", "cancelled"] },
    buckets: unpackBuckets,
  },
  snapmill_unpack_stage_seconds_total: {
    kind: "counter",
    help: "Time that unpacking spent in each stage",
    labels: { stage: ["resolve", "snapshot", "mounting", "waiting", "writing", "flush"] },
  },
  snapmill_layers_total: {
    kind: "counter",
    help: "Layers of the images that were unpacked",
    labels: { result: ["unpacked", "cached", "failed"] },
  },
  snapmill_registry_requests_total: {
    kind: "counter",
    help: "Requests to registries, redirections included; code: the HTTP status, or error if there was no answer",
    labels: { registry: { most: 20 }, code: { most: 40 } },
  },
  snapmill_redis_roundtrip_seconds: {
    kind: "histogram",
    help: "Round trips to Redis, as the workers' heartbeats see them",
    labels: {},
    buckets: roundTripBuckets,
  },
  snapmill_sqlite_transaction_seconds: {
    kind: "histogram",
    help: "Transactions that change the pool's database, until they are on disk",
    labels: {},
    buckets: roundTripBuckets,
  },
  snapmill_doctor_last_run_timestamp_seconds: {
    kind: "gauge",
    help: "When doctor last examined the pool while this snapmill ran; 0: not yet",
    labels: {},
  },
  snapmill_doctor_findings: {
    kind: "gauge",
    help: "What the last doctor run found in the pool and did not repair",
    labels: { kind: findingKinds },
  },
  snapmill_grpc_requests_total: {
    kind: "counter",
    help: "Answered gRPC calls",
    labels: { method: { most: 20 }, code: { most: 20 } },
  },
  snapmill_http_requests_total: {
    kind: "counter",
    help: "Answered HTTP requests by the pattern of their route",
    labels: { route: { most: 200 }, code: { most: 40 } },
  },
} as const satisfies Readonly<Record<string, Declaration>>;

type Declared = typeof observedMetrics;
export type ObservedName = keyof Declared;
type NameOf<Kind> = { [Name in ObservedName]: Declared[Name]["kind"] extends Kind ? Name : never }[ObservedName];
export type CounterName = NameOf<"counter">;
export type GaugeName = NameOf<"gauge">;
export type HistogramName = NameOf<"histogram">;

type ValueOf<Values> = Values extends readonly (infer Value)[] ? Value : string;
/** The labels of a sample; those of a closed list are checked by the compiler. */
export type LabelsOf<Name extends ObservedName> = {
  readonly [Label in keyof Declared[Name]["labels"]]: ValueOf<Declared[Name]["labels"][Label]>;
};

export const observedNames = Object.keys(observedMetrics) as ObservedName[];

export const declarationOf = (name: ObservedName): Declaration => observedMetrics[name];

/** How many numbers a series consists of: a value; or count, sum, and the observations in each bucket. */
export const widthOf = ({ buckets }: Declaration): number => (buckets === undefined ? 1 : 2 + buckets.length);
