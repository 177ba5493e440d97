// Room: test. Owns a small image that containers can run: busybox, in three layers with all kinds of entries.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ModelledLayer, type SmallImage, writeModelledImage } from "./small-image.ts";
import { directory, type Entry, fifo, file, hardLink, opaque, symlink, whiteout } from "./tar-entries.ts";

const tools = join(import.meta.dir, "../../.tools");

/** The guest's, which needs no library; the one that npm test unpacks where there is no guest; the machine's own. */
function busybox(): string {
  const places = [`${tools}/guest/layer/usr/bin/busybox`, `${tools}/tree/usr/bin/busybox`, Bun.which("busybox") ?? ""];
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw new Error("there is no busybox: npm test provides it");
  return found;
}

/** What a program loads, the loader too, below their own paths with the directories above them; nothing if it is static. */
function librariesOf(program: string): Entry[] {
  const listed = Bun.spawnSync(["ldd", program]).stdout.toString();
  const paths = [...listed.matchAll(/\/\S+(?= \(0x)/g)].map(([path]) => path.slice(1));
  const above = (path: string) => path.split("/").flatMap((_, depth, names) => names.slice(0, depth).join("/") || []);
  return [
    ...[...new Set(paths.flatMap(above))].map((path) => directory(path)),
    ...paths.map((path) => file(path, readFileSync(`/${path}`), { mode: 0o755 })),
  ];
}

const layersWith = (program: string): readonly ModelledLayer[] => [
  {
    form: "gzip",
    entries: [
      ...["bin", "dev", "etc", "proc", "run", "sys"].map((path) => directory(path)),
      directory("tmp", { mode: 0o1777 }),
      file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
      file("etc/dropped", "not in the next layer"),
      directory("etc/replaced"),
      file("etc/replaced/old", "hidden"),
    ],
  },
  {
    form: "zstd",
    entries: [
      ...librariesOf(program),
      file("bin/busybox", readFileSync(program), { mode: 0o755 }),
      hardLink("bin/sh", "bin/busybox", { mode: 0o755 }),
      whiteout("etc/dropped"),
      directory("etc/replaced"),
      opaque("etc/replaced"),
      file("etc/replaced/new", "shown", { mode: 0o4750, uid: 7, gid: 8, xattrs: { "user.origin": "test" } }),
    ],
  },
  {
    form: "none",
    entries: [symlink("etc/link", "passwd"), fifo("run/pipe", { mode: 0o600 }), file("etc/passwd-", "")],
  },
];

export const writeBoxImage = (layout: string): Promise<SmallImage> => writeModelledImage(layout, layersWith(busybox()));
