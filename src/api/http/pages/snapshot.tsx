// Room: api. Owns the page of one snapshot: what it is, how it is mounted, and what its removal would free.
/** @jsxImportSource hono/jsx */
import { formatSize } from "../../../domain/units.ts";
import { Action, Command } from "./action.tsx";
import { identityOf, imageQuery, type NamedImage } from "./image-address.ts";
import { Name, operand, shellWord, shortName } from "./names.tsx";
import type { Page } from "./page.ts";
import { allSnapshots, CommittedBytes, type ListedSnapshot, scopeIn } from "./snapshot-list.ts";
import { subtree, treeRows } from "./snapshot-tree.ts";
import { clockTime } from "./text.ts";
import type { View } from "./view.ts";

export const snapshot: Page = {
  path: "/pools/:pool/snapshot",
  title: "Snapshot",
  about: "One snapshot: labels, mounts, images that use it, and what its removal would free",
  place: "link",
  reads: ["stat", "usage", "mounts", "mountPoints", "listSnapshots", "listImages"],
  show: async (view) => {
    const named = { scope: scopeIn(view), key: view.query("key") };
    const found = await view.read("stat", named);
    const [usage, all, images] = await Promise.all([
      view.read("usage", named).catch(() => undefined),
      allSnapshots(view, named.scope),
      view.read("listImages", {}),
    ]);
    const below = subtree(treeRows(all.items), found.key).slice(1);
    const bytes = new CommittedBytes(view, all.items);
    const belowBytes = await Promise.all(below.map(({ item }) => bytes.own(item)));
    const users = images.filter(({ layers }) => layers.some(({ chainId }) => String(chainId) === found.key));
    const freed = { own: usage?.sizeBytes, below: belowBytes.reduce<number>((sum, each) => sum + (each ?? 0), 0) };
    return {
      heading: `Snapshot ${shortName(found.key)}`,
      body: (
        <>
          <Facts view={view} found={found} ownBytes={usage?.sizeBytes} inheritedBytes={await bytes.inherited(found)} />
          <h2>What would removing this free?</h2>
          <Freed view={view} found={found} below={below.length} freed={freed} images={users} />
          {below.length > 0 || users.length > 0 ? null : <Remove view={view} found={found} />}
          <Mounted view={view} found={found} />
          <h2>Directly below it</h2>
          <Children view={view} children={below.map(({ item }) => item).filter(({ parent }) => parent === found.key)} />
        </>
      ),
    };
  },
};

interface Found {
  readonly view: View;
  readonly found: ListedSnapshot;
}

const Facts = ({
  view,
  found,
  ownBytes,
  inheritedBytes,
}: Found & { ownBytes: number | undefined; inheritedBytes: number }) => (
  <dl>
    <dt>Key or name</dt>
    <dd>
      <bdi class="name">{found.key}</bdi>
    </dd>
    <dt>Scope</dt>
    <dd>{found.scope}</dd>
    <dt>Kind</dt>
    <dd>{found.kind}</dd>
    <dt>Parent</dt>
    <dd>
      {found.parent === undefined ? (
        "none"
      ) : (
        <a href={view.poolPath("snapshot", { scope: found.scope, key: found.parent })}>
          <Name text={found.parent} />
        </a>
      )}
    </dd>
    <dt>Own space</dt>
    <dd>{ownBytes === undefined ? "not known: its device cannot be read now" : formatSize(ownBytes)}</dd>
    <dt>Of its parents</dt>
    <dd>{formatSize(inheritedBytes)}</dd>
    <dt>Created</dt>
    <dd>{clockTime(found.createdAtMs)}</dd>
    {Object.entries(found.labels).map(([name, value]) => (
      <>
        <dt>
          Label <Name text={name} />
        </dt>
        <dd>
          <bdi class="name">{value}</bdi>
        </dd>
      </>
    ))}
  </dl>
);

interface FreedProps {
  readonly view: View;
  readonly found: ListedSnapshot;
  readonly below: number;
  readonly freed: { readonly own: number | undefined; readonly below: number };
  readonly images: readonly NamedImage[];
}

function Freed({ view, found, below, freed, images }: FreedProps) {
  const own = freed.own === undefined ? "what its device holds" : formatSize(freed.own);
  return (
    <>
      <p>
        Its own space: {own}.
        {below === 0
          ? ""
          : ` ${below} ${below === 1 ? "snapshot is" : "snapshots are"} below it, which must go first; together that frees ${formatSize(freed.below + (freed.own ?? 0))} at least.`}
      </p>
      {images.length === 0 ? null : (
        <>
          <p>
            {images.length === 1 ? "An image uses" : `${images.length} images use`} it: it goes with the last of them.
          </p>
          <ul>
            {images.slice(0, 50).map((each) => (
              <li key={each.image ?? identityOf(each)}>
                <a href={view.poolPath("image", imageQuery(each))}>
                  <Name text={each.image ?? each.manifestDigest} />
                </a>{" "}
                <Command text={view.command(`images rm ${shellWord(each.image ?? each.manifestDigest)}`)} />
              </li>
            ))}
          </ul>
        </>
      )}
      {found.kind === "committed" ? null : (
        <p>It is {found.kind === "view" ? "a view" : "active"}: whoever has it mounted loses it.</p>
      )}
    </>
  );
}

const inScope = ({ scope }: ListedSnapshot): string => (scope === "snapmill" ? "" : ` --scope ${shellWord(scope)}`);

const Remove = ({ view, found }: Found) => (
  <Action
    view={view}
    operation="remove"
    label="Remove the snapshot"
    command={view.command(`rm${inScope(found)} ${operand(found.key)}`)}
    given={{ scope: found.scope, key: found.key }}
    reason="required"
    leadsTo={view.poolPath("snapshots", { scope: found.scope })}
  />
);

async function Mounted({ view, found }: Found) {
  if (found.kind === "committed") {
    return <Command text={view.command(`mount${inScope(found)} ${operand(found.key)} DIRECTORY`)} />;
  }
  const named = { scope: found.scope, key: found.key };
  const { mounts } = await view.read("mounts", named);
  const places = await view.read("mountPoints", named).catch(() => []);
  return (
    <>
      <h2>Mounts</h2>
      <p>
        {places.length === 0 ? "It is mounted nowhere that the host's own mount namespace shows." : "It is mounted on:"}
      </p>
      <ul>
        {places.map((place) => (
          <li key={place}>
            <Name text={place} />
          </li>
        ))}
      </ul>
      {mounts.map(({ type, source, options }) => (
        <Command key={source} text={`mount -t ${type} -o ${options.join(",")} ${shellWord(source)} DIRECTORY`} />
      ))}
    </>
  );
}

const mostChildren = 200;

const Children = ({ view, children }: { readonly view: View; readonly children: readonly ListedSnapshot[] }) =>
  children.length === 0 ? (
    <p>Nothing.</p>
  ) : (
    <ul>
      {children.slice(0, mostChildren).map(({ scope, key, kind }) => (
        <li key={key}>
          <a href={view.poolPath("snapshot", { scope, key })}>
            <Name text={key} />
          </a>{" "}
          ({kind})
        </li>
      ))}
      {children.length > mostChildren ? <li>and {children.length - mostChildren} more</li> : null}
    </ul>
  );
