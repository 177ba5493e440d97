// Room: scripts. Owns where the pictures of a page lie, and how it is looked at in each.
import type { View } from "../test/support/browser/tab.ts";

/** From docs/ on. */
export const pictureDirectory = "dashboard";

export const pictureViews: Readonly<Record<string, View>> = {
  light: { theme: "light", width: 1100 },
  "dark-narrow": { theme: "dark", width: 390 },
};

/** The files of a page, in the order of the views: for `/pools/:pool/snapshots`, `dashboard/snapshots-light.png` first. */
export const pictureFiles = (path: string): string[] =>
  Object.keys(pictureViews).map((view) => `${pictureDirectory}/${nameOf(path)}-${view}.png`);

/** `/pools/:pool/batches` as `batches`, `/pools/:pool/batches/:batch` as `batches-one-batch`. */
function nameOf(path: string): string {
  if (path === "/") return "overview";
  const parts = path.replace(/^\/pools\/:pool(?=\/)/, "").split("/");
  return parts
    .filter((part) => part !== "")
    .map((part) => part.replace(/^:(\w+?)(Id)?$/, "one-$1"))
    .join("-");
}
