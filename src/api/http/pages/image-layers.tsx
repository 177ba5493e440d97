// Room: api. Owns the table of an image's layers: their sizes, their snapshots, and how many images share them.
/** @jsxImportSource hono/jsx */
import { ownScope } from "../../../domain/identifiers.ts";
import { formatSize } from "../../../domain/units.ts";
import { identityOf, type NamedImage } from "./image-address.ts";
import { Name } from "./names.tsx";
import { Scrolling } from "./scrolling.tsx";
import type { View } from "./view.ts";

interface ImageLayersProps {
  readonly view: View;
  readonly found: NamedImage;
  /** Every image of the pool. */
  readonly all: readonly NamedImage[];
  /** Of each layer in the pool; undefined: not known. */
  readonly ownBytes: readonly (number | undefined)[];
}

/** By chain ID: how many images have it. */
function usersOf(all: readonly NamedImage[]): ReadonlyMap<string, number> {
  const images = new Map(all.map((each) => [identityOf(each), each]));
  const chains = [...images.values()].flatMap(({ layers }) => [...new Set(layers.map(({ chainId }) => chainId))]);
  return new Map([...Map.groupBy(chains, String)].map(([chain, found]) => [chain, found.length]));
}

export function ImageLayers({ view, found, all, ownBytes }: ImageLayersProps) {
  const users = usersOf(all);
  return (
    <Scrolling label="Table of layers">
      <table>
        <caption>Layers, the bottom one first. Space in the pool is as measured when the layer was committed.</caption>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            <th scope="col" class="number">
              Compressed
            </th>
            <th scope="col" class="number">
              Files
            </th>
            <th scope="col" class="number">
              In the pool
            </th>
            <th scope="col">Snapshot</th>
            <th scope="col">Shared</th>
          </tr>
        </thead>
        <tbody>
          {found.layers.map(({ digest, chainId, compressedBytes, bytes }, index) => {
            const others = (users.get(String(chainId)) ?? 1) - 1;
            const own = ownBytes[index];
            return (
              <tr key={chainId}>
                <th scope="row">
                  {index + 1}:&nbsp;
                  <Name text={digest} />
                </th>
                <td class="number">{formatSize(compressedBytes)}</td>
                <td class="number">{formatSize(bytes)}</td>
                <td class="number">{own === undefined ? "not known" : formatSize(own)}</td>
                <td>
                  <a href={view.poolPath("snapshot", { scope: ownScope, key: chainId })}>
                    <Name text={chainId} />
                  </a>
                </td>
                <td>{others === 0 ? "no" : `with ${others} other ${others === 1 ? "image" : "images"}`}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scrolling>
  );
}
