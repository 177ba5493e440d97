// Runs the whole of snapmill on a thin-pool through libdevmapper; see devmapper-dmsetup.slow.dm.test.ts.
import { describeUp } from "./devmapper-up.ts";

describeUp("libdevmapper");
