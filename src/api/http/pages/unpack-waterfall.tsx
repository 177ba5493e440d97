// Room: api. Owns the waterfall of an unpack's layers, and the same numbers as a table.
/** @jsxImportSource hono/jsx */
import { layerStages } from "../../../domain/layer-stages.ts";
import { formatDuration, formatSize } from "../../../domain/units.ts";
import { counted } from "../../../domain/verdict-trouble.ts";
import { StageLegend, stageLooks } from "./charts/stage-looks.tsx";
import { type Row, Waterfall } from "./charts/waterfall.tsx";
import { Name } from "./names.tsx";
import { Scrolling } from "./scrolling.tsx";
import { isOver, LayerSign, type Unpack, type UnpackLayer } from "./unpack-state.tsx";

interface LayersProps {
  readonly unpack: Unpack;
  readonly nowMs: number;
}

type Stage = UnpackLayer["stages"][number];

const pictureId = "layers";
const shownDigits = 12;

export function Layers({ unpack, nowMs }: LayersProps) {
  const { layers } = unpack;
  const stages = layers.flatMap((layer) => layer.stages);
  const fromMs = Math.min(unpack.startedAtMs ?? nowMs, ...stages.map(({ startMs }) => startMs));
  const lastMs = Math.max(fromMs, ...stages.map(({ startMs, endMs }) => endMs ?? startMs));
  const untilMs = Math.max(lastMs, isOver(unpack) ? (unpack.endedAtMs ?? lastMs) : nowMs);
  return (
    <>
      {stages.length === 0 ? null : (
        <figure class="chart waterfall">
          <figcaption>
            <b>Layers over time</b>, the bottom one first, from the start of the unpack. A dashed edge: under way.
            <StageLegend
              id={pictureId}
              stages={layerStages.filter((name) => stages.some((each) => each.stage === name && isSeen(each)))}
            />
          </figcaption>
          <Waterfall
            id={pictureId}
            title="Layers over time"
            description={descriptionOf(unpack, untilMs - fromMs)}
            fromMs={fromMs}
            untilMs={untilMs}
            rows={layers.map((layer, index) => rowOf(layer, index, { fromMs, untilMs }))}
          />
        </figure>
      )}
      <Table layers={layers} fromMs={fromMs} />
    </>
  );
}

function descriptionOf({ layers }: Unpack, spanMs: number): string {
  const of = (state: UnpackLayer["state"]) => layers.filter((layer) => layer.state === state).length;
  const parts = (["cached", "unpacked", "unpacking", "waiting"] as const).filter((state) => of(state) > 0);
  const states = parts.map((state) => `${of(state)} ${state}`).join(", ");
  return `${counted(layers.length, "layer")} in ${formatDuration(spanMs)}: ${states}. The table below has the times of each stage.`;
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

function rowOf({ digest, state, compressedBytes, stages }: UnpackLayer, index: number, { fromMs, untilMs }: Span): Row {
  const said = state === "cached" ? `in the pool: saved ${formatSize(compressedBytes)}` : state;
  const size = state === "cached" ? "" : `, ${formatSize(compressedBytes)}`;
  return {
    label: `${index + 1}: ${shortDigest(digest)}${size}, ${said}`,
    bars: stages.filter(isSeen).map(({ stage, startMs, endMs, spentMs }) => {
      const ended = `${formatDuration(spentMs ?? 0)} between ${formatDuration(startMs - fromMs)} and ${formatDuration((endMs ?? untilMs) - fromMs)}`;
      const about = endMs === null ? `under way since ${formatDuration(startMs - fromMs)}` : ended;
      return { look: stageLooks[stage], startMs, endMs, about: `${stage}: ${about}` };
    }),
  };
}

/** Of a lock that was free, and a file that was written at once, there is nothing to draw. */
const isSeen = ({ startMs, endMs }: Stage): boolean => endMs === null || endMs > startMs;

const shortDigest = (digest: string): string => digest.replace(/^sha256:/, "").slice(0, shownDigits);

const Table = ({ layers, fromMs }: { readonly layers: readonly UnpackLayer[]; readonly fromMs: number }) => (
  <Scrolling label="Table of layers">
    <table>
      <caption>
        Layers, the bottom one first. A stage has the time that was spent in it, and when it began, from the start of
        the unpack; inflate and write take turns while fetch goes on.
      </caption>
      <thead>
        <tr>
          <th scope="col">Layer</th>
          <th scope="col">State</th>
          <th scope="col" class="number">
            Read
          </th>
          {layerStages.map((stage) => (
            <th key={stage} scope="col" class="number">
              {stage}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {layers.map((layer, index) => (
          <tr key={layer.digest}>
            <th scope="row">
              {index + 1}:&nbsp;
              <Name text={layer.digest} />
            </th>
            <td>
              <LayerSign state={layer.state} />
            </td>
            <td class="number">{readText(layer)}</td>
            {layerStages.map((name) => (
              <td key={name} class="number">
                <StageTime stage={layer.stages.find(({ stage }) => stage === name)} fromMs={fromMs} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </Scrolling>
);

const readText = ({ state, compressedBytes, readBytes }: UnpackLayer): string =>
  state === "cached"
    ? `saved ${formatSize(compressedBytes)}`
    : `${formatSize(readBytes)} of ${formatSize(compressedBytes)}`;

function StageTime({ stage, fromMs }: { readonly stage: Stage | undefined; readonly fromMs: number }) {
  if (stage === undefined) return <>–</>;
  return (
    <>
      {stage.spentMs === null ? "under way" : formatDuration(stage.spentMs)}
      <br />
      <span class="faint">at {formatDuration(Math.max(0, stage.startMs - fromMs))}</span>
    </>
  );
}
