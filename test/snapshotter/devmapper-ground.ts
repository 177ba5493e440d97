// The devmapper driver through libdevmapper, for the suites of snapshotters to run on.
import { thinGround } from "./thin-ground.ts";

export const ground = thinGround("libdevmapper");
