// Runs snapmill on a thin-pool through libdevmapper; see devmapper-dmsetup.dm.test.ts.
import { describeUp } from "./devmapper-up.ts";

describeUp("libdevmapper");
